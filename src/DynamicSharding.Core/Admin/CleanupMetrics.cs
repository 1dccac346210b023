using DynamicSharding.Cleanup;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>What the last pass found, and what all passes did. What one instance found is of no use while another holds the lease.</summary>
internal static class CleanupMetrics
{
    public static void Write(Exposition page, CleanupView view)
    {
        CleanupReport? last = view.HoldsLease == false ? null : view.Last;
        page.Gauge("dynamic_sharding_cleanup_enabled", "1 if cleanup is enabled and no dry run, else 0.", view is { Enabled: true, DryRun: false } ? 1 : 0);
        page.Gauge(
            "dynamic_sharding_cleanup_lease_held",
            "1 while this instance holds the lease in Consul for cleaning up, else 0.",
            view is { Enabled: true, HoldsLease: { } held } ? (held ? 1 : 0) : null);
        page.Counter("dynamic_sharding_cleanup_lease_failures_total", "Failed requests to Consul for the cleanup lease.", view.LeaseFailures ?? 0);
        page.Gauge("dynamic_sharding_cleanup_groups", "Groups on all gateways in the last pass; a group counts once for each gateway.", last?.Groups);
        page.Gauge("dynamic_sharding_cleanup_misplaced_groups", "Of these, those that are not on their owner.", last?.Misplaced);
        page.Gauge("dynamic_sharding_cleanup_stale_copies", "Misplaced copies left after the last pass, unless their owner is known to have none.", last?.Stale);
        Gauge left = page.Gauges("dynamic_sharding_cleanup_left_copies", "Copies that the last pass left, by reason.", "reason");
        if (last is not null)
        {
            foreach (LeftReason reason in LeftReasons.All) left.WithLabels(LeftReasons.Label(reason)).Set(last.Left[(int)reason]);
        }

        Gauge unread = page.Gauges("dynamic_sharding_cleanup_unread_gateways", "Gateways that the last pass could not read, by whether they are in the ring.", "in_ring");
        foreach (bool inRing in last is null ? [] : (bool[])[true, false])
        {
            unread.WithLabels(inRing ? "true" : "false").Set(last!.Gateways.Count(gateway => gateway.Error is not null && gateway.InRing == inRing));
        }

        Counter deleted = page.Counters("dynamic_sharding_cleanup_deleted_total", "Copies deleted on gateways, by reason.", "reason");
        foreach (DeleteReason reason in DeleteReasons.All) deleted.WithLabels(DeleteReasons.Label(reason)).IncTo(view.Deleted[(int)reason]);
        page.Gauge("dynamic_sharding_cleanup_remembered_deletes", "Groups that clients deleted within the last 24 hours.", view.RememberedDeletes);
        page.Counter("dynamic_sharding_cleanup_lost_deletes_total", "DELETEs that could not be remembered.", view.LostDeletes);
        page.Gauge("dynamic_sharding_cleanup_pass_duration_seconds", "Duration of the last pass.", last?.Duration.TotalSeconds);
        page.Gauge(
            "dynamic_sharding_cleanup_last_pass_timestamp_seconds",
            "Unix time at which the last pass started.",
            last is null ? null : Exposition.UnixSeconds(last.StartedAt));
        page.Gauge(
            "dynamic_sharding_cleanup_last_success_timestamp_seconds",
            "Unix time at which the last pass ended that read every gateway of the ring.",
            view.LastSuccess is { } success ? Exposition.UnixSeconds(success) : null);
        Counter passes = page.Counters("dynamic_sharding_cleanup_passes_total", "Passes that ended, by result.", "result");
        passes.WithLabels("success").IncTo(view.Passes - view.FailedPasses);
        passes.WithLabels("failure").IncTo(view.FailedPasses);
    }
}
