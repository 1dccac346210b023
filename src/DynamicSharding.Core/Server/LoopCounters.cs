using System.Numerics;
using System.Runtime.CompilerServices;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>
/// The counters of one event loop: only the loop's thread adds, a scrape reads. A scrape may miss the last few requests, but no counter ever
/// decreases.
/// </summary>
internal sealed class LoopCounters
{
    // Keeps the cells of other loops away at both ends: two cache lines, because the prefetcher fetches pairs of them.
    private const int Padding = 2 * 64 / sizeof(long);

    private const int Methods = (int)RequestMethod.Unknown + 1;
    private const int RequestsAt = Padding;
    private const int RejectedAt = RequestsAt + Methods * StatusIndex.Count;
    private const int ClosedAt = RejectedAt + RejectReasons.Count;
    private const int DurationCountAt = ClosedAt + CloseReasons.Count;
    private const int DurationSumAt = DurationCountAt + DurationBuckets.Count;
    private const int AcceptedAt = DurationSumAt + DurationBuckets.Count;

    /// <summary>For operators; the counters are for Prometheus.</summary>
    public RecentRejects Recent { get; } = new();

    private readonly long[] _cells = new long[AcceptedAt + 1 + Padding];

    /// <param name="method"><see cref="RequestMethod.Unknown"/> if the request line could not be read.</param>
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
    /// Requests whose responses left in one send: each took as long as the batch, because none leaves before the last is written.
    /// </summary>
    /// <param name="nanoseconds">From the arrival of the bytes to the send.</param>
    public void ObserveBatch(long nanoseconds, int requests)
    {
        int bucket = DurationBuckets.IndexOf(nanoseconds);
        _cells[DurationSumAt + bucket] += nanoseconds * requests;

        // Written after the sum and read before it: a scrape in between may see a time without its count, never a count without its time.
        Volatile.Write(ref _cells[DurationCountAt + bucket], _cells[DurationCountAt + bucket] + requests);
    }

    public long Requests(RequestMethod method, int codeIndex) => Read(RequestsAt + (int)method * StatusIndex.Count + codeIndex);

    public long Rejected(RejectReason reason) => Read(RejectedAt + (int)reason);

    public long Accepted => Read(AcceptedAt);

    public long Closed(CloseReason reason) => Read(ClosedAt + (int)reason);

    public long DurationCount(int bucket) => Read(DurationCountAt + bucket);

    /// <summary>Sum of the durations in the bucket, in nanoseconds.</summary>
    public long DurationSum(int bucket) => Read(DurationSumAt + bucket);

    private long Read(int cell) => Volatile.Read(ref _cells[cell]);
}

/// <summary>
/// Bounds of the request duration histogram: 5 µs, doubled up to 1.3 s, then infinity. With a factor of two a bucket is found by one division
/// and one count of leading zeros, and a quantile is off by a factor of two at most.
/// </summary>
internal static class DurationBuckets
{
    private const int FirstBoundMicroseconds = 5;

    /// <summary>The finite bounds.</summary>
    public const int BoundCount = 19;

    public const int Count = BoundCount + 1;

    private const long FirstBoundNanoseconds = 1000 * FirstBoundMicroseconds;

    /// <summary>Upper bound in seconds: whole microseconds divided once, so that it prints without rounding digits.</summary>
    public static double Bound(int bucket) =>
        bucket < BoundCount ? ((long)FirstBoundMicroseconds << bucket) / 1e6 : double.PositiveInfinity;

    /// <summary>The first bucket whose upper bound is not below the duration: inclusive, like Prometheus' <c>le</c>.</summary>
    public static int IndexOf(long nanoseconds)
    {
        if (nanoseconds <= FirstBoundNanoseconds) return 0;
        return Math.Min(BitOperations.Log2((ulong)((nanoseconds - 1) / FirstBoundNanoseconds)) + 1, BoundCount);
    }
}
