using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.Tests.Forward;

/// <summary>A gateway that a test writes, one connection at a time.</summary>
internal sealed class ScriptedGateway : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private int _connections;

    /// <param name="serve">Serves one connection, which is closed then.</param>
    /// <param name="isNarrow">Its connections take a few kilobytes ahead of what is read: small segments and a small buffer.</param>
    /// <param name="address">One of loopback's.</param>
    /// <param name="port">A free one by default.</param>
    public ScriptedGateway(Func<Socket, CancellationToken, Task> serve, bool isNarrow = false, IPAddress? address = null, int port = 0)
    {
        const int Tcp = 6;
        const int MaxSegment = 2;
        _listener = new TcpListener(address ?? IPAddress.Loopback, port);
        if (isNarrow)
        {
            _listener.Server.ReceiveBufferSize = 2048;
            _listener.Server.SetRawSocketOption(Tcp, MaxSegment, BitConverter.GetBytes(536));
        }

        _listener.Start();
        Address = _listener.LocalEndpoint.ToString()!;
        _accepting = AcceptAsync(serve);
    }

    public string Address { get; }

    /// <summary>Accepted so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>A gateway that takes every push and responds with 200.</summary>
    public static ScriptedGateway Good(IPAddress? address = null, int port = 0) => new(address: address, port: port, serve: async (socket, cancellation) =>
    {
        var reader = new ContentReader(socket, cancellation);
        while (await reader.ReadHeadAsync() is { } head)
        {
            await reader.SkipContentAsync(head);
            await SendAsync(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", cancellation);
        }
    });

    public static async Task SendAsync(Socket socket, string text, CancellationToken cancellation)
    {
        ReadOnlyMemory<byte> bytes = Encoding.Latin1.GetBytes(text);
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, cancellation)..];
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync(Func<Socket, CancellationToken, Task> serve)
    {
        List<Task> serving = [];
        try
        {
            while (true)
            {
                Socket socket = await _listener.AcceptSocketAsync(_stop.Token);
                Interlocked.Increment(ref _connections);
                serving.RemoveAll(static task => task.IsCompleted);
                serving.Add(ServeAsync(socket, serve));
            }
        }
        finally
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket socket, Func<Socket, CancellationToken, Task> serve)
    {
        using (socket)
        {
            socket.NoDelay = true;
            try
            {
                await serve(socket, _stop.Token);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException or FormatException)
            {
                // The edge has left, or has spoiled a push that its client left.
            }
        }
    }
}
