using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using static DynamicSharding.Admin.WarningEntry;

namespace DynamicSharding.Admin;

/// <summary>What an operator should know without looking for it, each with what to do. The worst first.</summary>
internal static class Warnings
{
    private static readonly TimeSpan Recent = TimeSpan.FromHours(1);
    private static readonly TimeSpan LongSilence = TimeSpan.FromMinutes(5);

    /// <summary>Changes in an hour that are more than a rollout.</summary>
    private const int Flapping = 8;

    public static IReadOnlyList<WarningEntry> Of(AdminContext context, FleetView fleet, LastHourCounts lastHour, DateTimeOffset now)
    {
        ServerOptions options = context.Options();
        IEnumerable<WarningEntry> all =
        [
            .. OfInstance(context, fleet),
            .. OfLastHour(fleet, lastHour),
            .. OfGateways(fleet, options),
            .. OfDiscovery(fleet, now),
            .. OfConfiguration(context.ReloadStatus(), options),
            .. OfChanges(fleet.Membership, now),
        ];
        return [.. all.OrderBy(static w => w.Severity switch { Critical => 0, Warning => 1, _ => 2 })];
    }

    private static IEnumerable<WarningEntry> OfInstance(AdminContext context, FleetView fleet)
    {
        if (fleet.Ring is null && fleet.Membership.BuildFailures > 0)
        {
            yield return new(Critical, "No ring could be built yet: every push is answered 503.", "It is tried again; report it, with the log's event 4001.");
        }
        else if (fleet.Ring is null)
        {
            yield return new(
                Critical,
                "No Pushgateway is known: every push is answered 503.",
                "List servers under pushgateway.servers and reload, or make Consul answer.");
        }
        else if (!context.Readiness.IsReady)
        {
            yield return new(
                Warning,
                $"This instance is not ready: {context.Readiness.Reason}.",
                "Load balancers that watch /-/ready keep away from it. Pushes that come all the same are answered.");
        }
    }

    private static IEnumerable<WarningEntry> OfLastHour(FleetView fleet, LastHourCounts lastHour)
    {
        (long turnedAway, long buildFailures) = lastHour.Snapshot();
        if (turnedAway > 0)
        {
            yield return new(
                Warning,
                $"{DisplayText.Number(turnedAway, "connection")} turned away within the last hour, because too many were open.",
                "Raise limits.max_connections and the descriptor limit (LimitNOFILE), or find the client that does not close.");
        }

        // After an hour only while it matters: the ring is not yet what membership wanted it to be.
        bool isBehind = fleet.Membership.BuildFailures > 0 && fleet.Gateways.Any(static g => IsMember(g.Status.State) is { } wanted && wanted != g.InRing);
        if (fleet.Ring is not null && (buildFailures > 0 || isBehind))
            yield return new(Critical, "A ring could not be built; the old one stays in use.", "Report it, with the log's event 4001.");
    }

    /// <summary>Null where the state does not say.</summary>
    private static bool? IsMember(GatewayState state) => state switch
    {
        GatewayState.Member or GatewayState.Leaving or GatewayState.Held => true,
        GatewayState.Joining or GatewayState.Out or GatewayState.Refused => false,
        _ => null,
    };

    private static IEnumerable<WarningEntry> OfGateways(FleetView fleet, ServerOptions options)
    {
        List<string> In(GatewayState state) => [.. fleet.Gateways.Where(g => g.Status.State == state).Select(static g => g.Status.Address)];
        List<string> held = In(GatewayState.Held);
        if (held.Count > 0)
        {
            yield return new(
                Critical,
                $"{DisplayText.Number(held.Count, "gateway")} failing and still in the ring: {LogValue.List(held)}.",
                "So much was lost at once that the cause may be this side. Look at what they share: this instance's network, Consul's agent, "
                + $"the check. Losses are applied after {DurationText.Format(options.Membership.MassLossHold)}, but never the last gateway's.");
        }

        List<string> leaving = In(GatewayState.Leaving);
        if (leaving.Count > 0)
            yield return new(Warning, $"Failing, about to leave the ring: {LogValue.List(leaving)}.", "Look at the check's output in the table.");

        List<string> gone = In(GatewayState.Out);
        if (gone.Count > 0)
        {
            yield return new(
                Warning,
                $"Not in the ring: {LogValue.List(gone)}.",
                (gone.Count == 1
                    ? "Its groups go to the others. Start it, or correct what the check's output says; it returns by itself after "
                    : "Their groups go to the others. Start them, or correct what the check's output says; they return by themselves after ")
                + $"{DurationText.Format(options.Membership.AdmitAfter)} of health.");
        }

        List<string> refused = In(GatewayState.Refused);
        if (refused.Count > 0)
        {
            yield return new(
                Warning,
                $"Discovered and refused, since membership.allow does not allow {(refused.Count == 1 ? "it" : "them")}: {LogValue.List(refused)}.",
                "Find out who registered that, and deregister it; or add it to membership.allow or pushgateway.servers and reload.");
        }

        List<string> overloaded = [.. fleet.Gateways.Where(static g => g.Status.Overloaded).Select(static g => g.Status.Address)];
        if (overloaded.Count > 0)
            yield return new(Warning, $"The write queue is full on {LogValue.List(overloaded)}.", "Add gateways, or push less to them.");
        if (!options.Pushgateway.HealthCheck.Enabled)
        {
            yield return new(
                Note,
                "Health checks are off: every configured gateway is in the ring, dead or alive.",
                "Set pushgateway.health_check.enabled to true and reload, if that is not meant.");
        }
    }

    private static IEnumerable<WarningEntry> OfDiscovery(FleetView fleet, DateTimeOffset now)
    {
        var discovery = fleet.Membership.Discovery;
        if (discovery.Source != DiscoveryKind.Consul) yield break;
        if (discovery.HiddenGateways is { IsEmpty: false } hidden)
        {
            yield return new(
                Warning,
                $"Absent from Consul's response, and kept since our own probe passes: {LogValue.List(hidden)}.",
                "The token of consul_server probably lacks node:read for the node that they are registered on: its policy needs "
                + "node_prefix \"\" { policy = \"read\" }. Else look for who deregisters them.");
        }

        string since = discovery.LastGoodAnswer is { } last ? $"for {DisplayText.Age(now - last)}" : "since the start";
        if (discovery.LastError is { } error)
        {
            yield return new(
                Warning,
                $"Consul has given no usable answer {since}: {error}",
                (fleet.Ring is null ? "" : "The ring stays as it is, and a gateway that dies now is not noticed. ")
                + "Check consul_server: address, token, and the agent itself.");
        }
        else if (discovery.LastGoodAnswer is { } good && now - good > LongSilence)
        {
            yield return new(Warning, $"Consul has not answered {since}.", "A quiet Consul answers about once a minute: look at its agent.");
        }
    }

    private static IEnumerable<WarningEntry> OfConfiguration(ReloadStatus reload, ServerOptions options)
    {
        if (!reload.LastSuccessful)
        {
            yield return new(
                Warning,
                $"The last reload failed; the configuration of {DisplayText.Time(reload.LastSuccess)} stays in force.",
                "Correct the file, then reload."
                + (reload.Errors is [var first, ..] ? $" {first}" : "")
                + (reload.Errors.Count > 1 ? $" ({DisplayText.Number(reload.Errors.Count - 1, "more error")} in the log)" : ""));
        }

        if (reload.NeedRestart.Count > 0)
            yield return new(Note, $"Changed in the file, not in force: {LogValue.List(reload.NeedRestart)}.", "Restart when it suits.");
        bool local = options.AdminListenAddr?.Host is { } host && IPAddress.IsLoopback(host);
        if (!options.Admin.BasicAuthUsers.IsEmpty && options.Admin.TlsCertFile is null && !local)
            yield return new(Warning, "Passwords for this page travel unencrypted.", "Set admin.tls, or bind admin_listen_addr to 127.0.0.1.");
    }

    private static IEnumerable<WarningEntry> OfChanges(MembershipView view, DateTimeOffset now)
    {
        List<RingChange> recent = [.. view.History.Where(c => now - c.At < Recent && c.Cause != RingChangeCause.Start && c.MovedRatio > 0)];
        if (recent.Count >= Flapping)
        {
            yield return new(
                Warning,
                $"The ring changed {recent.Count} times within an hour.",
                "Each change leaves stale copies. Find the gateway that comes and goes in the changes below; raise "
                + "pushgateway.health_check.failures_before_critical or membership.admit_after until it is mended.");
        }

        if (recent is [var last, ..])
        {
            yield return new(
                Note,
                $"The ring changed {DisplayText.Age(now - last.At)} ago; {DisplayText.Percent(last.MovedRatio)} of the groups have another owner.",
                "Their old gateways keep the last values until somebody deletes them, as config/tools/stale-copies.py does. Prometheus shows such "
                + "groups: `count without (gateway) (push_time_seconds) > 1`");
        }
    }
}
