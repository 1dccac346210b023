using System.Collections.Immutable;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>The counters of all event loops, summed on demand.</summary>
internal sealed class DataPlaneCounters(int loops)
{
    /// <summary>One per event loop, by its index.</summary>
    public ImmutableArray<LoopCounters> Loops { get; } = [.. Enumerable.Range(0, loops).Select(static _ => new LoopCounters())];

    public long Accepted => Loops.Sum(static loop => loop.Accepted);

    /// <summary>Connections that are open now.</summary>
    public long Open
    {
        get
        {
            // Closed is read first: a connection that comes and goes between the two reads counts as open, never as minus one.
            long closed = 0;
            for (int reason = 0; reason < CloseReasons.Count; reason++) closed += Closed((CloseReason)reason);
            return Accepted - closed;
        }
    }

    public long Requests(RequestMethod method, int codeIndex) => Loops.Sum(loop => loop.Requests(method, codeIndex));

    public long Rejected(RejectReason reason) => Loops.Sum(loop => loop.Rejected(reason));

    public long Closed(CloseReason reason) => Loops.Sum(loop => loop.Closed(reason));

    /// <summary>How many requests fell into the bucket, and their total time. The count is read first: see <see cref="LoopCounters.ObserveBatch"/>.</summary>
    public (long Count, long Nanoseconds) Duration(int bucket)
    {
        long count = Loops.Sum(loop => loop.DurationCount(bucket));
        return (count, Loops.Sum(loop => loop.DurationSum(bucket)));
    }
}
