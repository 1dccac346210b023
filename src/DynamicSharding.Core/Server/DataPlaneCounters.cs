using System.Collections.Immutable;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>The counters of all event loops, summed when somebody asks.</summary>
internal sealed class DataPlaneCounters
{
    public DataPlaneCounters(int loops)
    {
        var counters = ImmutableArray.CreateBuilder<LoopCounters>(loops);
        for (int i = 0; i < loops; i++) counters.Add(new LoopCounters());
        Loops = counters.MoveToImmutable();
    }

    /// <summary>One for each event loop, by its index.</summary>
    public ImmutableArray<LoopCounters> Loops { get; }

    public long Accepted
    {
        get
        {
            long sum = 0;
            foreach (LoopCounters loop in Loops) sum += loop.Accepted;
            return sum;
        }
    }

    /// <summary>Connections that are open now.</summary>
    public long Open
    {
        get
        {
            // Closed is read first: a connection that comes and goes between the two reads is then counted as open, never as minus one.
            long closed = 0;
            for (int reason = 0; reason < CloseReasons.Count; reason++) closed += Closed((CloseReason)reason);
            return Accepted - closed;
        }
    }

    public long Requests(RequestMethod method, int codeIndex)
    {
        long sum = 0;
        foreach (LoopCounters loop in Loops) sum += loop.Requests(method, codeIndex);
        return sum;
    }

    public long Rejected(RejectReason reason)
    {
        long sum = 0;
        foreach (LoopCounters loop in Loops) sum += loop.Rejected(reason);
        return sum;
    }

    public long Closed(CloseReason reason)
    {
        long sum = 0;
        foreach (LoopCounters loop in Loops) sum += loop.Closed(reason);
        return sum;
    }

    /// <summary>
    /// How many requests fell into the bucket, and how long they took together. The count is read first: see
    /// <see cref="LoopCounters.ObserveBatch"/>.
    /// </summary>
    public (long Count, long Ticks) Duration(int bucket)
    {
        long count = 0;
        foreach (LoopCounters loop in Loops) count += loop.DurationCount(bucket);
        long ticks = 0;
        foreach (LoopCounters loop in Loops) ticks += loop.DurationTicks(bucket);
        return (count, ticks);
    }
}
