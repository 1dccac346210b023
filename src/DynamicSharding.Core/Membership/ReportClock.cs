using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>
/// The clock of every delay of <see cref="MembershipPolicy"/>, as elapsed time. It stops during an interruption: no report shows what happened, so
/// that time proves neither health nor failure. With a source that may fall silent it advances only with its reports.
/// </summary>
internal sealed class ReportClock(TimeProvider time)
{
    /// <summary>
    /// While something is pending, a report is requested every second and may take five. Reports that are further apart say nothing about
    /// the time between them.
    /// </summary>
    public static readonly TimeSpan MaxReportGap = TimeSpan.FromSeconds(7);

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

    private TimeSpan Latest => MustBeFresh ? _reportedAt : Elapsed;

    private TimeSpan Elapsed => time.GetElapsedTime(_origin);

    public void Interrupt() => _interruptedSince ??= Latest;

    /// <summary>Ends an interruption, too.</summary>
    /// <param name="isPending">Something may change without a report.</param>
    public void OnReport(GatewayReport report, bool isPending)
    {
        TimeSpan reportedAt = Max(report.ReceivedAt is { } at ? time.GetElapsedTime(_origin, at) : Elapsed, _reportedAt);
        TimeSpan gap = reportedAt - _reportedAt;
        if (_interruptedSince is { } since) _interrupted += reportedAt - since;
        else if (MustBeFresh && report.MustBeFresh && isPending && gap > MaxReportGap) _interrupted += gap;
        _interruptedSince = null;
        MustBeFresh = report.MustBeFresh;
        _reportedAt = reportedAt;
    }

    public static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
