using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using DynamicSharding.Http;

namespace DynamicSharding.Forward;

/// <summary>What the forward listener counts: written by pool threads, read by whoever scrapes.</summary>
internal sealed class ForwardCounters
{
    /// <summary>Bounds of the duration histogram: 1 ms, doubling to 65 s, then everything above.</summary>
    public const int BoundCount = 17;

    /// <summary>More than a ring has members: a gateway that is gone keeps its counters for when it returns, but not without end.</summary>
    private const int MaxGateways = 12_000;

    private readonly ConcurrentDictionary<string, ForwardGatewayCounters> _gateways = new(StringComparer.Ordinal);
    private readonly long[] _rejected = new long[RejectReasons.Count];
    private readonly long[] _refused = new long[ForwardRejectReasons.Count];
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

    public void CountReject(ForwardRejectReason refusal) => Interlocked.Increment(ref _refused[(int)refusal]);

    public long Rejected(RejectReason reason) => Interlocked.Read(ref _rejected[(int)reason]);

    public long Refused(ForwardRejectReason refusal) => Interlocked.Read(ref _refused[(int)refusal]);

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

/// <summary>Why the forward listener did not forward a push that the router had found an owner for.</summary>
internal enum ForwardRejectReason
{
    /// <summary>413: longer than <c>forward.max_body_bytes</c>.</summary>
    BodyTooLarge,

    /// <summary>503: <c>forward.max_in_flight</c> is reached for the owner.</summary>
    TooManyInFlight,

    /// <summary>408: the client sent its content below the minimum rate.</summary>
    BodyTimeout,

    /// <summary>400: the content ended early, or its chunks are malformed.</summary>
    BrokenBody,

    /// <summary>508: it came through this process before.</summary>
    Loop,
}

internal static class ForwardRejectReasons
{
    public const int Count = (int)ForwardRejectReason.Loop + 1;

    public static int Status(ForwardRejectReason refusal) => refusal switch
    {
        ForwardRejectReason.BodyTooLarge => 413,
        ForwardRejectReason.TooManyInFlight => 503,
        ForwardRejectReason.BodyTimeout => 408,
        ForwardRejectReason.BrokenBody => 400,
        ForwardRejectReason.Loop => 508,
        _ => throw new UnreachableException($"refusal {refusal} has no status"),
    };

    /// <summary>The value of the <c>reason</c> label, beside those of <see cref="RejectReasons"/>.</summary>
    public static string Label(ForwardRejectReason refusal) => refusal switch
    {
        ForwardRejectReason.BodyTooLarge => "body_too_large",
        ForwardRejectReason.TooManyInFlight => "too_many_in_flight",
        ForwardRejectReason.BodyTimeout => "body_timeout",
        ForwardRejectReason.BrokenBody => "broken_body",
        ForwardRejectReason.Loop => "loop_detected",
        _ => throw new UnreachableException($"refusal {refusal} has no label"),
    };
}
