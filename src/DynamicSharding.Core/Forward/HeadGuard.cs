using System.IO.Pipelines;
using DynamicSharding.Config;
using Microsoft.AspNetCore.Connections;

namespace DynamicSharding.Forward;

/// <summary>
/// Stands before Kestrel on every connection: the redirect listener's own parser reads each head first, so that both listeners refuse the
/// same ones, for the same reasons.
/// </summary>
internal sealed class HeadGuard(Func<LimitOptions> limits)
{
    /// <summary>Content waits in the client until the gateway takes it.</summary>
    private static readonly PipeOptions Room = new(pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024, useSynchronizationContext: false);

    public async Task RunAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        IDuplexPipe transport = connection.Transport;
        var pipe = new Pipe(Room);
        var targets = new OddTargets();
        connection.Features.Set(targets);
        connection.Transport = new GuardedTransport(pipe.Reader, transport.Output);
        Task pumping = new RequestPump(transport.Input, pipe.Writer, targets, limits).RunAsync();
        try
        {
            await next(connection);
        }
        finally
        {
            connection.Transport = transport;
            await pipe.Reader.CompleteAsync();
            transport.Input.CancelPendingRead();
            await pumping;
        }
    }

    private sealed record GuardedTransport(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
