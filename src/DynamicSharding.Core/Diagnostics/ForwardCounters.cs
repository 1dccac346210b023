using System.Collections.Concurrent;
using System.Numerics;

namespace DynamicSharding.Diagnostics;

/// <summary>What the forward listener counts: written by pool threads, read by whoever scrapes.</summary>
internal sealed class ForwardCounters
{
    /// <summary>Bounds of the duration histogram: 1 ms, doubling to 65 s, then everything above.</summary>
    public const int BoundCount = 17;

    /// <summary>More than a ring has members: a gateway that is gone keeps its counters for when it returns, but not without end.</summary>
    private const int MaxGateways = 12_000;

    private readonly ConcurrentDictionary<string, ForwardGatewayCounters> _gateways = new(StringComparer.Ordinal);
    private readonly long[] _rejected = new long[RejectReasons.Count];
    private readonly long[] _refused = new long[ForwardRefusals.Count];
    private readonly long[] _durationCounts = new long[BoundCount + 1];
    private readonly long[] _durationTicks = new long[BoundCount + 1];
    private long _sent;
    private long _received;

    public IEnumerable<ForwardGatewayCounters> Gateways => _gateways.Values;

    /// <summary>Bytes written to gateways, heads and replays included.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Bytes read from gateways.</summary>
    public long Received => Interlocked.Read(ref _received);

    /// <summary>Upper bound in seconds.</summary>
    public static double Bound(int bucket) => (1L << bucket) / 1e3;

    public ForwardGatewayCounters For(string gateway)
    {
        if (_gateways.TryGetValue(gateway, out ForwardGatewayCounters? known)) return known;
        ForwardGatewayCounters counters = _gateways.GetOrAdd(gateway, static address => new ForwardGatewayCounters(address));
        if (_gateways.Count > MaxGateways) ForgetOldest();
        return counters;
    }

    public void CountSent(int bytes) => Interlocked.Add(ref _sent, bytes);

    public void CountReceived(int bytes) => Interlocked.Add(ref _received, bytes);

    public void CountReject(RejectReason reason) => Interlocked.Increment(ref _rejected[(int)reason]);

    public void CountRefusal(ForwardRefusal refusal) => Interlocked.Increment(ref _refused[(int)refusal]);

    public long Rejected(RejectReason reason) => Interlocked.Read(ref _rejected[(int)reason]);

    public long Refused(ForwardRefusal refusal) => Interlocked.Read(ref _refused[(int)refusal]);

    /// <param name="duration">From a request's head to the end of its answer.</param>
    public void Observe(TimeSpan duration)
    {
        long bound = duration.Ticks <= TimeSpan.TicksPerMillisecond ? 0 : BitOperations.Log2((ulong)((duration.Ticks - 1) / TimeSpan.TicksPerMillisecond)) + 1;
        long bucket = Math.Min(bound, BoundCount);

        // The ticks first, and read last: a scrape in between sees time that has no count yet, never a count without its time.
        Interlocked.Add(ref _durationTicks[bucket], duration.Ticks);
        Interlocked.Increment(ref _durationCounts[bucket]);
    }

    /// <summary>A sixth of them, so that it does not come with every new one. Those that were pushed to last stay.</summary>
    private void ForgetOldest()
    {
        foreach (ForwardGatewayCounters oldest in _gateways.Values.Where(g => g.InFlight == 0).OrderBy(g => g.UsedAt).Take(MaxGateways / 6).ToArray())
            _gateways.TryRemove(oldest.Address, out _);
    }

    /// <returns>How many fell into the bucket, and how long they took together.</returns>
    public (long Count, long Ticks) Duration(int bucket)
    {
        long count = Interlocked.Read(ref _durationCounts[bucket]);
        return (count, Interlocked.Read(ref _durationTicks[bucket]));
    }
}
