using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A raw TCP gateway whose fault can change between two requests.</summary>
internal sealed class FaultyGateway : IAsyncDisposable
{
    private const int SmallBuffer = 4 * 1024;
    private const int UsualBuffer = 256 * 1024;

    private LoopbackServer _server;
    private TaskCompletionSource _healthy = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile GatewayFault _fault;
    private int _received;

    public FaultyGateway() => _server = new LoopbackServer(ServeAsync, Address);

    public string Address { get; } = FreePort.NextAddress();

    /// <summary>Complete requests.</summary>
    public int Received => Volatile.Read(ref _received);

    /// <summary>Sets the fault, and releases requests that wait because of the previous one.</summary>
    public async Task BeAsync(GatewayFault fault)
    {
        GatewayFault last = _fault;
        _fault = fault;
        if (fault == GatewayFault.Dead) await _server.DisposeAsync();
        else if (last == GatewayFault.Dead) _server = new LoopbackServer(ServeAsync, Address);
        if (fault != GatewayFault.Dead) _server.ReceiveBufferSize = fault == GatewayFault.Slow ? SmallBuffer : UsualBuffer;
        Interlocked.Exchange(ref _healthy, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        _fault = GatewayFault.None;
        _healthy.TrySetResult();
        await _server.DisposeAsync();
    }

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        try
        {
            var reader = new RequestReader(socket, Address, () => _fault == GatewayFault.Slow);
            while (await reader.ReadAsync(cancellation) is not null)
            {
                Interlocked.Increment(ref _received);
                if (!await AnswerAsync(socket, cancellation)) return;
            }
        }
        finally
        {
            if (_fault == GatewayFault.Dead) socket.LingerState = new LingerOption(true, 0);
        }
    }

    /// <returns>Whether the connection stays.</returns>
    private async Task<bool> AnswerAsync(Socket socket, CancellationToken cancellation)
    {
        GatewayFault fault = _fault;
        switch (fault)
        {
            case GatewayFault.Silent:
                await _healthy.Task.WaitAsync(cancellation);
                return false;
            case GatewayFault.HalfAnAnswer:
                await socket.SendAsync("HTTP/1.1 200 OK\r\nConten"u8.ToArray(), cancellation);
                return false;
            case GatewayFault.NoAnswer or GatewayFault.Dead:
                return false;
            default:
                await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
                return fault != GatewayFault.ClosesWhenIdle;
        }
    }
}
