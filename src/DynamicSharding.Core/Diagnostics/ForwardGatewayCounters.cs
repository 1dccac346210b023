using System.Collections.Concurrent;

namespace DynamicSharding.Diagnostics;

/// <summary>What the forward listener counts for one gateway.</summary>
internal sealed class ForwardGatewayCounters(string address)
{
    private readonly ConcurrentDictionary<int, long> _codes = new();
    private int _inFlight;
    private long _replays;

    public string Address { get; } = address;

    public int InFlight => Volatile.Read(ref _inFlight);

    public long Replays => Interlocked.Read(ref _replays);

    /// <summary>Status codes that clients were answered with; 0 for a client that was gone before its answer.</summary>
    public IEnumerable<KeyValuePair<int, long>> Codes => _codes;

    /// <summary>Takes a place among those in flight; false when there is none.</summary>
    public bool TryEnter(int max)
    {
        if (Interlocked.Increment(ref _inFlight) <= max) return true;
        Interlocked.Decrement(ref _inFlight);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _inFlight);

    public void CountReplay() => Interlocked.Increment(ref _replays);

    public void CountCode(int code) => _codes.AddOrUpdate(code, 1, static (_, count) => count + 1);
}
