using System.Collections.Concurrent;
using System.Globalization;

namespace DynamicSharding.Diagnostics;

/// <summary>What the forward listener counts for one gateway.</summary>
internal sealed class ForwardGatewayCounters(string address)
{
    /// <summary>In place of a status: the client was gone before its answer.</summary>
    public const int Aborted = 0;

    /// <summary>In place of a status: the gateway broke its answer off when a part of it was on its way to the client.</summary>
    public const int Broken = -1;

    private readonly ConcurrentDictionary<int, long> _codes = new();
    private int _inFlight;
    private long _usedAt = Environment.TickCount64;
    private long _replays;

    public string Address { get; } = address;

    /// <summary>On the clock of <see cref="Environment.TickCount64"/>.</summary>
    public long UsedAt => Interlocked.Read(ref _usedAt);

    public int InFlight => Volatile.Read(ref _inFlight);

    public long Replays => Interlocked.Read(ref _replays);

    /// <summary>Status codes that clients were answered with, and the two that are none.</summary>
    public IEnumerable<KeyValuePair<int, long>> Codes => _codes;

    /// <summary>The value of the <c>code</c> label.</summary>
    public static string Label(int code) => code switch
    {
        Aborted => "aborted",
        Broken => "broken",
        _ => code.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Takes a place among those in flight; false when there is none.</summary>
    public bool TryEnter(int max)
    {
        Interlocked.Exchange(ref _usedAt, Environment.TickCount64);
        if (Interlocked.Increment(ref _inFlight) <= max) return true;
        Interlocked.Decrement(ref _inFlight);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _inFlight);

    public void CountReplay() => Interlocked.Increment(ref _replays);

    public void CountCode(int code) => _codes.AddOrUpdate(code, 1, static (_, count) => count + 1);
}
