using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>
/// What one event loop counts: plain additions by the loop's own thread, read by whoever scrapes. A reader may see a sum that is a few
/// requests old, never one that goes backwards.
/// </summary>
internal sealed class LoopCounters
{
    // Two lines, because the prefetcher fetches lines in pairs; at both ends, so that no other loop's cells are near.
    private const int Padding = 2 * 64 / sizeof(long);

    private const int Methods = (int)RequestMethod.Unknown + 1;
    private const int RequestsAt = Padding;
    private const int RejectedAt = RequestsAt + Methods * StatusIndex.Count;
    private const int ClosedAt = RejectedAt + RejectReasons.Count;
    private const int DurationCountAt = ClosedAt + CloseReasons.Count;
    private const int DurationTicksAt = DurationCountAt + DurationBuckets.Count;
    private const int AcceptedAt = DurationTicksAt + DurationBuckets.Count;

    private readonly long[] _cells = new long[AcceptedAt + 1 + Padding];

    /// <param name="method">Its method; <see cref="RequestMethod.Unknown"/> where the request line could not be read.</param>
    /// <param name="codeIndex">One of <see cref="StatusIndex"/>'s constants.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CountRequest(RequestMethod method, int codeIndex) => _cells[RequestsAt + (int)method * StatusIndex.Count + codeIndex]++;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CountReject(RejectReason reason) => _cells[RejectedAt + (int)reason]++;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CountAccept() => _cells[AcceptedAt]++;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CountClose(CloseReason reason) => _cells[ClosedAt + (int)reason]++;

    /// <summary>
    /// Requests that were answered by one send: each of them took as long as the batch, because none leaves before the last is written.
    /// </summary>
    /// <param name="stopwatchTicks">From the bytes' arrival to the send, in <see cref="System.Diagnostics.Stopwatch"/>'s ticks.</param>
    public void ObserveBatch(long stopwatchTicks, int requests)
    {
        int bucket = DurationBuckets.IndexOf(stopwatchTicks);
        _cells[DurationTicksAt + bucket] += stopwatchTicks * requests;

        // After the ticks, and read before them: a scrape in between sees time that has no count yet, never a count without its time.
        Volatile.Write(ref _cells[DurationCountAt + bucket], _cells[DurationCountAt + bucket] + requests);
    }

    public long Requests(RequestMethod method, int codeIndex) => Read(RequestsAt + (int)method * StatusIndex.Count + codeIndex);

    public long Rejected(RejectReason reason) => Read(RejectedAt + (int)reason);

    public long Accepted => Read(AcceptedAt);

    public long Closed(CloseReason reason) => Read(ClosedAt + (int)reason);

    public long DurationCount(int bucket) => Read(DurationCountAt + bucket);

    /// <summary>Sum of the durations that fell into the bucket.</summary>
    public long DurationTicks(int bucket) => Read(DurationTicksAt + bucket);

    private long Read(int cell) => Volatile.Read(ref _cells[cell]);
}

/// <summary>
/// Bounds of the request duration histogram: 5 µs, doubling to 1.3 s, then everything above. A factor of two makes finding the bucket
/// one division and one count of leading zeros, and the error of a quantile at most one doubling.
/// </summary>
internal static class DurationBuckets
{
    private const int FirstBoundMicroseconds = 5;

    /// <summary>Bounds without the infinite one.</summary>
    public const int BoundCount = 19;

    /// <summary>With the one above the last bound.</summary>
    public const int Count = BoundCount + 1;

    private static readonly long FirstBoundTicks = Stopwatch.Frequency / (1_000_000 / FirstBoundMicroseconds);

    /// <summary>Upper bound in seconds. A whole number of microseconds divided once, so that it prints short.</summary>
    public static double Bound(int bucket) =>
        bucket < BoundCount ? ((long)FirstBoundMicroseconds << bucket) / 1e6 : double.PositiveInfinity;

    /// <summary>The bucket whose upper bound is the first not below the duration: inclusive, as Prometheus' <c>le</c> is.</summary>
    public static int IndexOf(long stopwatchTicks)
    {
        if (stopwatchTicks <= FirstBoundTicks) return 0;
        return Math.Min(BitOperations.Log2((ulong)((stopwatchTicks - 1) / FirstBoundTicks)) + 1, BoundCount);
    }
}
