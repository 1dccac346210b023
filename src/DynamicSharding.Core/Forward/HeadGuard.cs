using System.IO.Pipelines;
using DynamicSharding.Config;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace DynamicSharding.Forward;

/// <summary>
/// Precedes Kestrel on every connection: the redirect listener's parser reads each head first, so that both listeners reject the same
/// requests for the same reasons.
/// </summary>
internal sealed class HeadGuard(Func<LimitOptions> limits, AwakeClock clock)
{
    /// <summary>Content waits in the client until the gateway takes it.</summary>
    private static readonly PipeOptions Room = new(pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024, useSynchronizationContext: false);

    /// <summary>Runs until the connection ends.</summary>
    public async Task RunAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        IDuplexPipe transport = connection.Transport;
        var pipe = new Pipe(Room);
        CancellationToken closed = connection.ConnectionClosed;
        using var client = new ClientConnection(connection.Features.Get<IConnectionSocketFeature>()?.Socket);
        var idle = new IdleClock(clock);
        connection.Features.Set(client);
        connection.Features.Set(idle);
        connection.Transport = new GuardedTransport(pipe.Reader, transport.Output);

        // Kestrel's own token is canceled by a FIN, too, and Kestrel would then respond to nobody.
        connection.ConnectionClosed = client.Gone;
        using CancellationTokenRegistration closing = closed.UnsafeRegister(static client => ((ClientConnection)client!).Look(), client);
        Task pumping = new RequestPump(transport.Input, pipe.Writer, client, idle, clock, limits).RunAsync();
        try
        {
            await next(connection);
        }
        finally
        {
            connection.Transport = transport;
            connection.ConnectionClosed = closed;
            await pipe.Reader.CompleteAsync();
            transport.Input.CancelPendingRead();
            idle.Close();
            await pumping;
        }
    }

    private sealed record GuardedTransport(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
