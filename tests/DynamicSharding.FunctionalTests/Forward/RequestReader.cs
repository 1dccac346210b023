using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Parses the requests of one connection.</summary>
/// <param name="isSlow">Whether to read only a kilobyte a second now.</param>
internal sealed class RequestReader(Socket socket, string gateway, Func<bool>? isSlow = null)
{
    private const int SlowBlock = 1024;
    private static readonly TimeSpan SlowPause = TimeSpan.FromSeconds(1);

    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly List<byte> _received = [];

    /// <summary>Up to the empty line; null when the connection ends before a request begins.</summary>
    public async Task<string?> ReadHeadAsync(CancellationToken cancellation)
    {
        while (true)
        {
            int end = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_received).IndexOf("\r\n\r\n"u8);
            if (end >= 0) return Take(end + 4);
            if (!await FillAsync(cancellation)) return null;
        }
    }

    public async Task<RecordedRequest?> ReadAsync(CancellationToken cancellation)
    {
        if (await ReadHeadAsync(cancellation) is not { } head) return null;
        var request = new RecordedRequest(gateway, head, "");
        string content = request.Field("Transfer-Encoding") is not null
            ? await ReadChunksAsync(cancellation)
            : await ReadExactAsync(int.Parse(request.Field("Content-Length") ?? "0", CultureInfo.InvariantCulture), cancellation);
        return request with { Content = content };
    }

    /// <summary>The content behind a head, without its framing and without keeping it.</summary>
    public async Task ReadContentAsync(string head, Action<byte[]> onBytes, CancellationToken cancellation)
    {
        var request = new RecordedRequest(gateway, head, "");
        if (request.Field("Content-Length") is { } field)
        {
            await PassAsync(long.Parse(field, CultureInfo.InvariantCulture), onBytes, cancellation);
            return;
        }

        for (long length = -1; length != 0;)
        {
            length = await ReadChunkHeadAsync(cancellation);
            await PassAsync(length, onBytes, cancellation);
            Assert.Equal("\r\n", await ReadExactAsync(2, cancellation));
        }
    }

    private async Task PassAsync(long length, Action<byte[]> onBytes, CancellationToken cancellation)
    {
        while (length > 0)
        {
            if (_received.Count == 0 && !await FillAsync(cancellation)) throw new IOException("the request ended in its content");
            int count = (int)Math.Min(length, _received.Count);
            onBytes([.. _received[..count]]);
            _received.RemoveRange(0, count);
            length -= count;
        }
    }

    private async Task<string> ReadChunksAsync(CancellationToken cancellation)
    {
        var content = new StringBuilder();
        while (true)
        {
            int length = await ReadChunkHeadAsync(cancellation);
            content.Append(await ReadExactAsync(length, cancellation));
            Assert.Equal("\r\n", await ReadExactAsync(2, cancellation));
            if (length == 0) return content.ToString();
        }
    }

    private async Task<int> ReadChunkHeadAsync(CancellationToken cancellation)
    {
        string line = "";
        while (!line.EndsWith("\r\n", StringComparison.Ordinal)) line += await ReadExactAsync(1, cancellation);
        return int.Parse(line.Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    private async Task<string> ReadExactAsync(int length, CancellationToken cancellation)
    {
        while (_received.Count < length)
        {
            if (!await FillAsync(cancellation)) throw new IOException("the request ended in its content");
        }

        return Take(length);
    }

    private string Take(int length)
    {
        string text = Encoding.Latin1.GetString([.. _received[..length]]);
        _received.RemoveRange(0, length);
        return text;
    }

    private async Task<bool> FillAsync(CancellationToken cancellation)
    {
        Memory<byte> block = _buffer;
        if (isSlow is not null)
        {
            // Checked when data arrives: the connection may have been idle while the fault changed.
            await socket.ReceiveAsync(_buffer.AsMemory(0, 1), SocketFlags.Peek, cancellation);
            if (isSlow())
            {
                await Task.Delay(SlowPause, cancellation);
                block = block[..SlowBlock];
            }
        }

        int count = await socket.ReceiveAsync(block, cancellation);
        _received.AddRange(_buffer.AsSpan(0, count));
        return count > 0;
    }
}
