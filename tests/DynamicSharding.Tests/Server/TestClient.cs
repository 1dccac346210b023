using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.Tests.Server;

/// <summary>A client without an HTTP library: Latin-1 text in, Latin-1 text out.</summary>
internal sealed class TestClient : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly StringBuilder _received = new();

    public TestClient(int receiveBuffer = 0)
    {
        if (receiveBuffer > 0) Socket.ReceiveBufferSize = receiveBuffer;
    }

    public Socket Socket { get; } = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    public async Task SendAsync(string text)
    {
        ReadOnlyMemory<byte> bytes = Encoding.Latin1.GetBytes(text);
        while (bytes.Length > 0) bytes = bytes[await Socket.SendAsync(bytes)..];
    }

    /// <summary>The next response, or null if the server closed before its end.</summary>
    public async Task<ResponseText?> ReadAsync(bool head = false)
    {
        while (true)
        {
            string text = _received.ToString();
            int at = 0;
            if (ResponseText.TryRead(text, ref at, head, out ResponseText? response))
            {
                _received.Remove(0, at);
                return response;
            }

            if (await ReceiveAsync() == 0) return null;
        }
    }

    /// <summary>Everything until the server closes its side; a reset is an exception.</summary>
    public async Task<string> ReadToEndAsync()
    {
        while (await ReceiveAsync() > 0)
        {
        }

        string text = _received.ToString();
        _received.Clear();
        return text;
    }

    public void Dispose() => Socket.Dispose();

    private async Task<int> ReceiveAsync()
    {
        using CancellationTokenSource cancellation = new(Limit);
        int count = await Socket.ReceiveAsync(_buffer.AsMemory(), cancellation.Token);
        _received.Append(Encoding.Latin1.GetString(_buffer, 0, count));
        return count;
    }
}
