using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Accepts connections on a loopback port and serves each one until it is disposed.</summary>
internal sealed class LoopbackServer : IAsyncDisposable
{
    /// <summary>SO_BINDTODEVICE.</summary>
    private const int BindToDevice = 25;

    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    /// <param name="serve">Serves one connection, which is then closed.</param>
    /// <param name="address">By default a free one.</param>
    /// <param name="device">With <c>0.0.0.0</c>, the only network device to listen on.</param>
    public LoopbackServer(Func<Socket, CancellationToken, Task> serve, string address = "127.0.0.1:0", string? device = null)
    {
        _listener = new TcpListener(IPEndPoint.Parse(address));
        _listener.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        if (device is not null) _listener.Server.SetRawSocketOption(1, BindToDevice, System.Text.Encoding.ASCII.GetBytes(device));
        _listener.Start();
        Address = _listener.LocalEndpoint.ToString()!;
        _accepting = AcceptAsync(serve);
    }

    public string Address { get; }

    /// <summary>Accepts, and never reads or responds.</summary>
    public static LoopbackServer Silent() => new((_, cancellation) => Task.Delay(Timeout.Infinite, cancellation));

    /// <summary>For new connections.</summary>
    public int ReceiveBufferSize
    {
        set => _listener.Server.ReceiveBufferSize = value;
    }

    /// <summary>May be called twice: a test may end the server early.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_accepting.IsCompleted) return;
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
                serving.RemoveAll(task => task.IsCompleted);
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
            try
            {
                await serve(socket, _stop.Token);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The peer is gone, or the test is over.
            }
        }
    }
}
