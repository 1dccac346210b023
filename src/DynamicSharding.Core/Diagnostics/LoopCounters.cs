using System.Runtime.CompilerServices;
using DynamicSharding.Http;

namespace DynamicSharding.Diagnostics;

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
