using System.Collections.Concurrent;
using System.Globalization;
using System.Numerics;
using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Forward;

/// <summary>What the forward listener counts: each loop in cells of its own, read by whoever scrapes.</summary>
internal sealed class ForwardCounters
{
    /// <summary>Bounds of the duration histogram: 1 ms, doubling to 65 s, then everything above.</summary>
    public const int BoundCount = 17;

    /// <summary>More than a ring has members: a gateway that is gone keeps its counters for when it returns, but not without end.</summary>
    private const int MaxGateways = 12_000;

    private readonly ConcurrentDictionary<string, ForwardGatewayCounters> _gateways = new(StringComparer.Ordinal);

    public ForwardCounters(int loops) => Loops = [.. Enumerable.Range(0, loops).Select(static _ => new ForwardLoopCounters())];

    public ForwardLoopCounters[] Loops { get; }

    public IEnumerable<ForwardGatewayCounters> Gateways => _gateways.Values;

    /// <summary>Bytes written to gateways, heads and replays included.</summary>
    public long Sent => Loops.Sum(static loop => loop.Sent);

    /// <summary>Bytes read from gateways.</summary>
    public long Received => Loops.Sum(static loop => loop.Received);

    /// <summary>Upper bound in seconds.</summary>
    public static double Bound(int bucket) => (1L << bucket) / 1e3;

    public ForwardGatewayCounters For(string gateway)
    {
        if (_gateways.TryGetValue(gateway, out ForwardGatewayCounters? known)) return known;
        ForwardGatewayCounters counters = _gateways.GetOrAdd(gateway, address => new ForwardGatewayCounters(address, Loops.Length));
        if (_gateways.Count > MaxGateways) ForgetOldest();
        return counters;
    }

    public long Rejected(RejectReason reason) => Loops.Sum(loop => loop.Requests.Rejected(reason));

    public long Refused(ForwardRejectReason refusal) => Loops.Sum(loop => loop.Refused(refusal));

    /// <returns>How many fell into the bucket, and how long they took together.</returns>
    public (long Count, long Ticks) Duration(int bucket)
    {
        long count = Loops.Sum(loop => loop.DurationCount(bucket));
        return (count, Loops.Sum(loop => loop.DurationTicks(bucket)));
    }

    /// <summary>A sixth of them, so that it does not come with every new one. Those that were pushed to last stay.</summary>
    private void ForgetOldest()
    {
        foreach (ForwardGatewayCounters oldest in _gateways.Values.Where(g => g.InFlight == 0).OrderBy(g => g.UsedAt).Take(MaxGateways / 6).ToArray())
            _gateways.TryRemove(oldest.Address, out _);
    }
}

/// <summary>What one loop counts of all gateways together. Written on its thread only.</summary>
internal sealed class ForwardLoopCounters
{
    private readonly long[] _refused = new long[ForwardRejectReasons.Count];
    private readonly long[] _durationCounts = new long[ForwardCounters.BoundCount + 1];
    private readonly long[] _durationTicks = new long[ForwardCounters.BoundCount + 1];
    private long _sent;
    private long _received;

    /// <summary>Requests that were answered without a gateway, and why heads were refused.</summary>
    public LoopCounters Requests { get; } = new();

    public long Sent => Volatile.Read(ref _sent);

    public long Received => Volatile.Read(ref _received);

    public void CountSent(int bytes) => _sent += bytes;

    public void CountReceived(int bytes) => _received += bytes;

    public void CountRefusal(ForwardRejectReason refusal) => _refused[(int)refusal]++;

    public long Refused(ForwardRejectReason refusal) => Volatile.Read(ref _refused[(int)refusal]);

    /// <param name="duration">From a request's head to the end of its response.</param>
    public void Observe(TimeSpan duration)
    {
        long bound = duration.Ticks <= TimeSpan.TicksPerMillisecond ? 0 : BitOperations.Log2((ulong)((duration.Ticks - 1) / TimeSpan.TicksPerMillisecond)) + 1;
        long bucket = Math.Min(bound, ForwardCounters.BoundCount);
        _durationTicks[bucket] += duration.Ticks;

        // After the ticks, and read before them: a scrape in between sees time that has no count yet, never a count without its time.
        Volatile.Write(ref _durationCounts[bucket], _durationCounts[bucket] + 1);
    }

    public long DurationCount(int bucket) => Volatile.Read(ref _durationCounts[bucket]);

    public long DurationTicks(int bucket) => Volatile.Read(ref _durationTicks[bucket]);
}

/// <summary>What the forward listener counts for one gateway.</summary>
internal sealed class ForwardGatewayCounters(string address, int loops)
{
    /// <summary>In place of a status: the client was gone before its response.</summary>
    public const int Aborted = 0;

    /// <summary>In place of a status: the gateway broke off its response when a part of it was on its way to the client.</summary>
    public const int Broken = 1;

    /// <summary>By loop, the latest code first. Few codes ever occur, and a table of all of them for each of 10,000 gateways would be megabytes.</summary>
    private readonly CodeCount?[] _codes = new CodeCount?[loops];
    private int _inFlight;
    private long _usedAt = Environment.TickCount64;
    private long _replays;

    public string Address { get; } = address;

    /// <summary>On the clock of <see cref="Environment.TickCount64"/>.</summary>
    public long UsedAt => Interlocked.Read(ref _usedAt);

    public int InFlight => Volatile.Read(ref _inFlight);

    public long Replays => Interlocked.Read(ref _replays);

    /// <summary>Status codes that clients were answered with, and the two that are none.</summary>
    public IEnumerable<KeyValuePair<int, long>> Codes
    {
        get
        {
            SortedDictionary<int, long> counts = [];
            for (int loop = 0; loop < _codes.Length; loop++)
            {
                for (CodeCount? one = Volatile.Read(ref _codes[loop]); one is not null; one = one.Next)
                    counts[one.Code] = counts.GetValueOrDefault(one.Code) + Volatile.Read(ref one.Count);
            }

            return counts;
        }
    }

    /// <summary>The value of the <c>code</c> label.</summary>
    public static string Label(int code) => code switch
    {
        Aborted => "aborted",
        Broken => "broken",
        _ => code.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Takes a place among those in flight; false when there is none. The limit is one for all loops.</summary>
    public bool TryEnter(int max)
    {
        if (Interlocked.Increment(ref _inFlight) <= max) return true;
        Interlocked.Decrement(ref _inFlight);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _inFlight);

    public void CountReplay() => Interlocked.Increment(ref _replays);

    /// <summary>On the loop's thread.</summary>
    public void CountCode(int loop, int code)
    {
        CodeCount? one = _codes[loop];
        while (one is not null && one.Code != code) one = one.Next;
        if (one is null) Volatile.Write(ref _codes[loop], one = new CodeCount(code, _codes[loop]));
        one.Count++;
        _usedAt = Environment.TickCount64;
    }

    private sealed class CodeCount(int code, CodeCount? next)
    {
        public readonly int Code = code;
        public readonly CodeCount? Next = next;
        public long Count;
    }
}
