using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.Tests.Forward;

/// <summary>Reads requests like a gateway: heads as text, content only counted.</summary>
internal sealed class ContentReader(Socket socket, CancellationToken cancellation)
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    public async Task<string?> ReadHeadAsync()
    {
        var head = new StringBuilder();
        while (true)
        {
            if (await ReadByteAsync() is not { } one) return null;
            head.Append((char)one);
            if (one == '\n' && head.Length >= 4 && head[^3] == '\n') return head.ToString();
        }
    }

    public async Task SkipContentAsync(string head)
    {
        const string Length = "\r\nContent-Length: ";
        int at = head.IndexOf(Length, StringComparison.Ordinal);
        if (at >= 0)
        {
            at += Length.Length;
            await SkipAsync(int.Parse(head.AsSpan(at, head.IndexOf('\r', at) - at), CultureInfo.InvariantCulture));
        }
        else if (head.Contains("\r\nTransfer-Encoding: chunked\r\n", StringComparison.Ordinal))
        {
            int length;
            do
            {
                string line = "";
                while (!line.EndsWith("\r\n", StringComparison.Ordinal)) line += (char)(await ReadByteAsync() ?? throw new IOException("ended"));
                length = int.Parse(line.AsSpan(0, line.Length - 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                await SkipAsync(length + 2);
            }
            while (length > 0);
        }
    }

    private async Task SkipAsync(int length)
    {
        while (length > 0)
        {
            if (_start == _end && !await FillAsync()) throw new IOException("ended");
            int count = Math.Min(length, _end - _start);
            _start += count;
            length -= count;
        }
    }

    private async Task<byte?> ReadByteAsync() => _start == _end && !await FillAsync() ? null : _buffer[_start++];

    private async Task<bool> FillAsync()
    {
        _start = 0;
        _end = await socket.ReceiveAsync(_buffer, cancellation);
        return _end > 0;
    }
}
