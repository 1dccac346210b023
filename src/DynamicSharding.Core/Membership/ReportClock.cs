using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>
/// The clock of every delay of <see cref="MembershipPolicy"/>, as elapsed time. It stops during an interruption: no report shows what happened, so
/// that time proves neither health nor failure. With a source that may fall silent it advances only with its reports.
/// </summary>
internal sealed class ReportClock(TimeProvider time)
{
    /// <summary>
    /// While something is pending, a report is requested every five seconds. Reports that are further apart than this say nothing about the time
    /// between them.
    /// </summary>
    public static readonly TimeSpan MaxReportGap = TimeSpan.FromSeconds(8);

    /// <summary>
    /// A report counts for so long after it was received: the source waits for the next change, which would be here by now. It is longer than the
    /// default of <c>membership.settle</c>, so the loss of a gateway costs no further request.
    /// </summary>
    public static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1.5);

    private readonly long _origin = time.GetTimestamp();

    /// <summary>When the last report was received.</summary>
    private TimeSpan _reportedAt;

    /// <summary>When the current interruption began; null without one.</summary>
    private TimeSpan? _interruptedSince;

    /// <summary>The total length of past interruptions.</summary>
    private TimeSpan _interrupted;

    /// <summary>Time counts only between reports.</summary>
    public bool MustBeFresh { get; private set; }

    public bool IsInterrupted => _interruptedSince is not null;

    public TimeSpan Now => (_interruptedSince ?? Latest) - _interrupted;

    /// <summary>Time has passed that the last report says nothing about.</summary>
    public bool IsStale => MustBeFresh && Elapsed - _reportedAt > Freshness;

    private TimeSpan Latest => MustBeFresh ? Min(Elapsed, _reportedAt + Freshness) : Elapsed;

    private TimeSpan Elapsed => time.GetElapsedTime(_origin);

    public void Interrupt() => _interruptedSince ??= Latest;

    /// <summary>Ends an interruption, too.</summary>
    /// <param name="isPending">Something may change without a report.</param>
    public void OnReport(GatewayReport report, bool isPending)
    {
        TimeSpan reportedAt = Max(report.ReceivedAt is { } at ? time.GetElapsedTime(_origin, at) : Elapsed, _reportedAt);
        TimeSpan gap = reportedAt - _reportedAt;
        if (_interruptedSince is { } since) _interrupted += Max(reportedAt - since, TimeSpan.Zero);
        else if (MustBeFresh && report.MustBeFresh && isPending && gap > MaxReportGap) _interrupted += gap - Freshness;
        _interruptedSince = null;
        MustBeFresh = report.MustBeFresh;
        _reportedAt = reportedAt;
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    public static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
