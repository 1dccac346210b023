using DynamicSharding.Cleanup;
using DynamicSharding.Config;

namespace DynamicSharding.Admin;

/// <summary><c>GET /api/v1/cleanup</c>.</summary>
/// <param name="Exclude"><c>cleanup.exclude</c>: groups that match one of these are never deleted.</param>
/// <param name="HoldsLease">Null without Consul.</param>
/// <param name="Waiting">Why no pass may start now.</param>
internal sealed record CleanupResponse(
    bool Enabled,
    bool DryRun,
    IReadOnlyList<string> Exclude,
    bool? HoldsLease,
    string? LeaseHolder,
    string? Waiting,
    bool Running,
    long Passes,
    long FailedPasses,
    DateTimeOffset? LastSuccess,
    SortedDictionary<string, long> Deleted,
    CleanupPassEntry? LastPass)
{
    public static CleanupResponse From(CleanupView view, CleanupOptions options) => new(
        view.Enabled,
        view.DryRun,
        [.. options.Exclude.Select(static matcher => matcher.Text)],
        view.HoldsLease,
        view.LeaseHolder,
        view.Waiting,
        view.IsRunning,
        view.Passes,
        view.FailedPasses,
        view.LastSuccess,
        CleanupPassEntry.ByReason(view.Deleted),
        view.Last is { } last ? CleanupPassEntry.From(last) : null);
}

/// <param name="Deleted">By reason; in a dry run what would have been.</param>
/// <param name="Left">By reason.</param>
/// <param name="DeletedCopies">The first 1,000.</param>
/// <param name="LeftCopies">The first 1,000.</param>
internal sealed record CleanupPassEntry(
    DateTimeOffset Started,
    double Seconds,
    bool DryRun,
    bool Success,
    long Groups,
    long Misplaced,
    long Stale,
    SortedDictionary<string, long> Deleted,
    SortedDictionary<string, long> Left,
    IReadOnlyList<CleanupGatewayEntry> Gateways,
    IReadOnlyList<CleanupCopyEntry> DeletedCopies,
    IReadOnlyList<CleanupCopyEntry> LeftCopies)
{
    public static CleanupPassEntry From(CleanupReport report) => new(
        report.StartedAt,
        report.Duration.TotalSeconds,
        report.DryRun,
        report.IsSuccess,
        report.Groups,
        report.Misplaced,
        report.Stale,
        ByReason(report.Deleted),
        new(LeftReasons.All.ToDictionary(LeftReasons.Label, reason => report.Left[(int)reason], StringComparer.Ordinal), StringComparer.Ordinal),
        [.. report.Gateways.Select(static gateway => new CleanupGatewayEntry(gateway.Address, gateway.InRing, gateway.Groups, gateway.Misplaced, gateway.Error, gateway.Skew?.TotalSeconds))],
        [.. report.DeletedCopies.Select(static copy => new CleanupCopyEntry(GroupPath.Describe(copy.Labels), copy.Gateway, null, DeleteReasons.Label(copy.Reason), Finite(copy.PushTime)))],
        [.. report.LeftCopies.Select(static copy => new CleanupCopyEntry(GroupPath.Describe(copy.Labels), copy.Gateway, copy.Owner, LeftReasons.Label(copy.Reason), Finite(copy.PushTime)))]);

    public static SortedDictionary<string, long> ByReason(IReadOnlyList<long> deleted) =>
        new(DeleteReasons.All.ToDictionary(DeleteReasons.Label, reason => deleted[(int)reason], StringComparer.Ordinal), StringComparer.Ordinal);

    private static double? Finite(double time) => double.IsFinite(time) ? time : null;
}

/// <param name="InRing">When the pass began. Without the others, a pass still succeeds.</param>
/// <param name="Error">Why it could not be read.</param>
/// <param name="ClockSkewSeconds">Its clock minus ours.</param>
internal sealed record CleanupGatewayEntry(string Address, bool InRing, long Groups, long Misplaced, string? Error, double? ClockSkewSeconds);

/// <param name="Group">As in PromQL.</param>
internal sealed record CleanupCopyEntry(string Group, string Gateway, string? Owner, string Reason, double? PushTimeSeconds);
