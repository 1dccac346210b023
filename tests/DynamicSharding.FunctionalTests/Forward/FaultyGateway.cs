using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A raw gateway whose manners can change between two requests.</summary>
internal sealed class FaultyGateway : IAsyncDisposable
{
    private readonly LoopbackServer _server;
    private TaskCompletionSource _healthy = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public FaultyGateway() => _server = new LoopbackServer(ServeAsync);

    public string Address => _server.Address;

    public GatewayFault Fault { get; private set; }

    /// <summary>Of this moment; what waits under the last fault is let go.</summary>
    public void Be(GatewayFault fault)
    {
        Fault = fault;
        Interlocked.Exchange(ref _healthy, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    public ValueTask DisposeAsync()
    {
        Be(GatewayFault.None);
        return _server.DisposeAsync();
    }

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        var reader = new RequestReader(socket, Address);
        while (true)
        {
            if (Fault == GatewayFault.Slow && !await ReadSlowlyAsync(socket, cancellation)) return;
            if (await reader.ReadAsync(cancellation) is null) return;
            switch (Fault)
            {
                case GatewayFault.Silent:
                    await _healthy.Task.WaitAsync(cancellation);
                    return;
                case GatewayFault.HalfAnAnswer:
                    await socket.SendAsync("HTTP/1.1 200 OK\r\nConten"u8.ToArray(), cancellation);
                    return;
                case GatewayFault.NoAnswer:
                    return;
                case GatewayFault.ClosesWhenIdle:
                    await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
                    return;
                default:
                    await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
                    break;
            }
        }
    }

    /// <summary>A kilobyte a second: looks at what is there before the reader takes it.</summary>
    private static async Task<bool> ReadSlowlyAsync(Socket socket, CancellationToken cancellation)
    {
        int count = await socket.ReceiveAsync(new byte[1024], SocketFlags.Peek, cancellation);
        await Task.Delay(TimeSpan.FromSeconds(1), cancellation);
        return count > 0;
    }
}
