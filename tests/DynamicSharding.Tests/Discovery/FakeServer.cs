using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.Tests.Discovery;

/// <summary>A server on a free loopback port that reads whole requests and lets the test write any bytes.</summary>
internal sealed class FakeServer : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<string, Socket, CancellationToken, Task> _respond;
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly Task _accepting;

    /// <param name="respond">Given the request (head and body as text) and the socket.</param>
    /// <param name="port">0 for a free one.</param>
    public FakeServer(Func<string, Socket, CancellationToken, Task> respond, int port = 0)
    {
        _respond = respond;
        _listener = new TcpListener(IPAddress.Loopback, port);
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    public string Address => $"127.0.0.1:{Port}";

    public ConcurrentQueue<string> Requests { get; } = [];

    public static Task Send(Socket socket, string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text));

    public static Task Reply(Socket socket, string body, int status = 200, string fields = "") =>
        Send(socket, $"HTTP/1.1 {status} X\r\n{fields}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    public static FakeServer Always(Func<string, (int Status, string Body)> respond, int port = 0) => new(
        (request, socket, _) =>
        {
            (int status, string body) = respond(request);
            return Reply(socket, body, status);
        },
        port);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        foreach (Socket socket in _sockets) socket.Dispose();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket socket = await _listener.AcceptSocketAsync(_stop.Token);
            _sockets.Add(socket);
            _ = ServeAsync(socket);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        var buffer = new byte[64 * 1024];
        int length = 0;
        try
        {
            while (true)
            {
                int read = await socket.ReceiveAsync(buffer.AsMemory(length), _stop.Token);
                if (read == 0) return;
                length += read;
                string text = Encoding.UTF8.GetString(buffer, 0, length);
                int head = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                if (head < 0) continue;
                string? field = text[..head].Split("\r\n").FirstOrDefault(f => f.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
                int whole = head + 4 + (field is null ? 0 : int.Parse(field.AsSpan(15)));
                if (length < whole) continue;
                length = 0;
                Requests.Enqueue(text);
                await _respond(text, socket, _stop.Token);
            }
        }
        catch (Exception ex) when (ex is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client is gone, or the test ended.
        }
    }
}
