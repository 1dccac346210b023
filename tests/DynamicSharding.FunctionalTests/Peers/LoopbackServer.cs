using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Accepts on a loopback port and gives each connection to a loop of its own, until it is disposed.</summary>
internal sealed class LoopbackServer : IAsyncDisposable
{
    /// <summary>SO_BINDTODEVICE.</summary>
    private const int BindToDevice = 25;

    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    /// <param name="serve">Each connection, which is closed at its end.</param>
    /// <param name="address">An address to come back to; by default a free one.</param>
    /// <param name="device">With <c>0.0.0.0</c>, the only one that is listened on.</param>
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

    /// <summary>Of the connections that come from now on.</summary>
    public int ReceiveBufferSize
    {
        set => _listener.Server.ReceiveBufferSize = value;
    }

    /// <summary>May come twice: a test may want it gone before its end.</summary>
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
                // The other side went, or the test is over.
            }
        }
    }
}
