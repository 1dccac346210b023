using System.Net;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Web;
using static DynamicSharding.Admin.WarningEntry;

namespace DynamicSharding.Admin;

/// <summary>What an operator should know without searching for it, each with a remedy. The most severe first.</summary>
internal static class Warnings
{
    private static readonly TimeSpan Recent = TimeSpan.FromHours(1);
    private static readonly TimeSpan LongSilence = TimeSpan.FromMinutes(5);

    /// <summary>More changes in an hour than a rollout makes.</summary>
    private const int Flapping = 8;

    public static IReadOnlyList<WarningEntry> Of(AdminContext context, FleetView fleet, RecentActivity recent, DateTimeOffset now)
    {
        ServerOptions options = context.Options();
        return
        [
            .. OfInstance(context, fleet)
                .Concat(OfLastHour(fleet, recent))
                .Concat(OfGateways(fleet, options))
                .Concat(OfDiscovery(fleet, now))
                .Concat(OfConfiguration(context.ReloadStatus(), context.ConfigFile(), options))
                .Concat(OfCertificates(context))
                .Concat(OfChanges(fleet.Membership, context.Cleanup(), now))
                .Concat(OfCleanup(context.Cleanup()))
                .OrderBy(static w => w.Severity switch { Critical => 0, Warning => 1, _ => 2 }),
        ];
    }

    private static IEnumerable<WarningEntry> OfInstance(AdminContext context, FleetView fleet)
    {
        if (fleet.Ring is null && fleet.Membership.BuildFailures > 0)
        {
            yield return new(
                Critical, "No ring could be built: every push gets a 503 response.", "The server keeps trying. Report this with log event 4001.");
        }
        else if (fleet.Ring is null && fleet.Gateways is [_, ..] && fleet.Gateways.All(static gateway => gateway.Weight == 0))
        {
            yield return new(
                Critical, "Every Pushgateway has weight 0: every push gets a 503 response.", "Give at least one of them a weight above 0 where they are listed.");
        }
        else if (fleet.Ring is null)
        {
            yield return new(
                Critical,
                "No Pushgateway is known: every push gets a 503 response.",
                fleet.Membership.Discovery.Source is var source && source.IsList()
                    ? $"Make sure that the list of discovery: {source.Name()} names gateways and can be read."
                    : "List servers under pushgateway.servers and reload, or make sure that Consul responds.");
        }
        else if (!context.Readiness.IsReady)
        {
            yield return new(
                Warning,
                $"This instance is not ready: {context.Readiness.Reason}.",
                "Load balancers that check /-/ready send it no traffic. Pushes that arrive anyway are served.");
        }
    }

    private static IEnumerable<WarningEntry> OfLastHour(FleetView fleet, RecentActivity recent)
    {
        Failures failures = recent.LastHour(fleet);
        if (failures.OverLimit > 0)
        {
            yield return new(
                Warning,
                $"{DisplayText.Number(failures.OverLimit, "connection")} rejected within the last hour because too many were open.",
                "Raise limits.max_connections and the descriptor limit (LimitNOFILE), or find the client that does not close its connections.");
        }

        if (failures.UntrustedProxies > 0)
        {
            yield return new(
                Warning,
                $"{DisplayText.Number(failures.UntrustedProxies, "connection")} closed within the last hour because the peer is not in trusted_proxies.",
                "Add the addresses of your proxies to trusted_proxies and restart, or send clients to the proxies. The log has some of the peers (event 2015).");
        }

        if (failures.BadProxyHeaders > 0)
        {
            yield return new(
                Warning,
                $"{DisplayText.Number(failures.BadProxyHeaders, "connection")} closed within the last hour because they did not begin with a valid header of the PROXY protocol.",
                "Make the proxies send the version that proxy_protocol names (send-proxy or send-proxy-v2 in HAProxy, proxy_protocol on in nginx), "
                + "or set proxy_protocol to off and restart. The log has some of the peers (event 2015).");
        }

        if (failures.UnexpectedProxyHeaders > 0)
        {
            yield return new(
                Warning,
                $"{DisplayText.Number(failures.UnexpectedProxyHeaders, "connection")} rejected within the last hour because a header of the PROXY protocol came where none is expected.",
                "Set proxy_protocol to the version that the proxy sends, list the proxy in trusted_proxies and restart, or make the proxy send no header. "
                + "The log has some of the peers (events 2014 and 2015).");
        }

        // After an hour only if it still matters: the ring is not what membership wants it to be.
        bool isBehind = fleet.Membership.BuildFailures > 0 && fleet.Gateways.Any(static g => IsMember(g.Status.State) is { } wanted && wanted != g.InRing);
        if (fleet.Ring is not null && (failures.BuildFailures > 0 || isBehind))
            yield return new(Critical, "A ring could not be built; the previous one stays in use.", "Report this with log event 4001.");
    }

    /// <summary>Null for states that do not imply either.</summary>
    private static bool? IsMember(GatewayState state) => state switch
    {
        GatewayState.Member or GatewayState.Leaving or GatewayState.Held => true,
        GatewayState.Joining or GatewayState.Out or GatewayState.Refused => false,
        _ => null,
    };

    private static IEnumerable<WarningEntry> OfGateways(FleetView fleet, ServerOptions options)
    {
        List<string> Where(Func<GatewayStatus, bool> isAffected) => [.. fleet.Gateways.Where(g => isAffected(g.Status)).Select(static g => g.Status.Address)];
        if (Where(static g => g.State == GatewayState.Held) is [_, ..] held)
        {
            yield return new(
                Critical,
                $"{DisplayText.Number(held.Count, "gateway")} failing but still in the ring: {LogValue.List(held)}.",
                "So many failed at once that the cause may be on this side. Check what they share: this instance's network, the Consul agent, the health "
                + (fleet.Gateways.All(static g => !g.InRing || g.Status.State == GatewayState.Held)
                    ? "check. No other gateway is healthy, so they stay in the ring until one is, and pushes to those that are dead are lost."
                    : $"check. Those that still fail leave the ring after {DurationText.Format(options.Membership.MassLossHold)}, as long as another gateway is healthy; "
                        + "after an outage of all gateways, that time begins when the first is healthy again."));
        }

        if (Where(static g => g.State == GatewayState.Leaving) is [_, ..] leaving)
            yield return new(Warning, $"Failing, about to leave the ring: {LogValue.List(leaving)}.", "See the check output in the table.");
        if (Where(static g => g.State == GatewayState.Out && !g.IsBeingChecked) is [_, ..] gone)
        {
            yield return new(
                Warning,
                $"Not in the ring: {LogValue.List(gone)}.",
                (gone.Count == 1
                    ? "Its groups go to the others. Start it, or fix what its check reports; it rejoins"
                    : "Their groups go to the others. Start them, or fix what their checks report; they rejoin")
                + $" after being healthy for {DurationText.Format(options.Membership.AdmitAfter)}.");
        }

        if (Where(static g => g.State == GatewayState.Refused) is [_, ..] refused)
        {
            yield return new(
                Warning,
                $"Discovered but excluded by membership.allow: {LogValue.List(refused)}.",
                "Find out what registered it and deregister it, or add it to membership.allow or pushgateway.servers and reload.");
        }

        if (Where(static g => g.Overloaded) is [_, ..] overloaded)
            yield return new(Warning, $"The write queue is full on {LogValue.List(overloaded)}.", "Add gateways, or push less often.");
        if (!options.Pushgateway.HealthCheck.Enabled)
        {
            yield return new(
                Note,
                "Health checks are off: every configured gateway is in the ring, dead or alive.",
                "If that is not intended, set pushgateway.health_check.enabled to true and reload.");
        }
    }

    private static IEnumerable<WarningEntry> OfDiscovery(FleetView fleet, DateTimeOffset now)
    {
        var discovery = fleet.Membership.Discovery;
        if (discovery.Source.IsList() && discovery.LastError is { } trouble)
        {
            string remedy = discovery.Source switch
            {
                DiscoveryKind.Dns => "Check dns.names and the name servers (dns.resolvers)",
                DiscoveryKind.FileSd => "Correct the file, or what writes it, by the rules of Prometheus' file_sd_configs",
                _ => "Check http_sd.url and the server behind it",
            };
            yield return new(
                Warning,
                fleet.Ring is null ? $"No list of gateways since startup: {trouble}" : $"The list of gateways is not current: {trouble}",
                remedy + (fleet.Ring is null ? "; no push is served before the first list." : "; the last list stays in use until then."));
        }

        if (discovery.Source != DiscoveryKind.Consul) yield break;
        if (discovery.HiddenGateways is { IsEmpty: false } hidden)
        {
            yield return new(
                Warning,
                $"Missing from Consul's response but kept because our own probe passes: {LogValue.List(hidden)}.",
                "The consul_server token probably lacks node:read on the node they are registered on: its policy needs "
                + "node_prefix \"\" { policy = \"read\" }. Otherwise, find out what deregisters them, or registers their ids for another service.");
        }

        string since = discovery.LastGoodAnswer is { } last ? $"for {DisplayText.Age(now - last)}" : "since startup";
        if (discovery.LastError is { } error)
        {
            yield return new(
                Warning,
                $"No usable response from Consul {since}: {error}",
                (fleet.Ring is null ? "" : "The ring stays as it is, and gateways that fail now stay in it. ")
                + "Check consul_server: address, token, and the agent itself.");
        }
        else if (discovery.LastGoodAnswer is { } good && now - good > LongSilence)
        {
            yield return new(Warning, $"No response from Consul {since}.", "Even an idle Consul responds about once a minute: check its agent.");
        }

        if (discovery.LastError is null && discovery.ConsulKnownLeader == false)
        {
            yield return new(
                Warning,
                "Consul's servers have no leader: no change of a gateway's health is seen, and nothing can be registered.",
                "Start the servers that are down: more than half of them must run and reach each other.");
        }

        if (discovery.LastError is null && discovery.RegistrationError is { } failure)
        {
            yield return new(
                Warning,
                $"Gateways cannot be registered in Consul: {failure}",
                "Check consul_server: the token needs service write, addr must be one agent, and it must accept the check. The log says more (events 3502 and 3508).");
        }
    }

    private static IEnumerable<WarningEntry> OfConfiguration(ReloadStatus reload, ConfigFileStatus file, ServerOptions options)
    {
        if (!reload.LastSuccessful)
        {
            yield return new(
                Warning,
                $"The last reload failed; the configuration of {DisplayText.Time(reload.LastSuccess)} stays active.",
                "Fix the file, then reload."
                + (reload.Errors is [var first, ..] ? $" {first}" : "")
                + (reload.Errors.Count > 1 ? $" ({DisplayText.Number(reload.Errors.Count - 1, "more error")} in the log)" : ""));
        }

        if (file.State == ConfigFileState.Missing)
        {
            yield return new(
                Warning, "The configuration file does not exist any more: a reload fails, and so does the next start.", "Put it back where the process was told to find it.");
        }
        else if (file.Error is { } error)
        {
            string when = file.EditedAt is { } at ? $" was edited at {DisplayText.Time(at)}, and" : "";
            yield return new(
                Warning, $"The configuration file{when} would not load: a reload fails, and so does the next start.", $"Fix the file, then reload. {error}");
        }
        else if (file.EditedAt is { } edited)
        {
            yield return new(
                Note,
                $"The configuration file was edited at {DisplayText.Time(edited)} and has not been reloaded since.",
                "Check it with dynamic-sharding check-config, and reload when it is complete.");
        }

        if (reload.NeedRestart.Count > 0)
            yield return new(Note, $"Changed in the file but not active: {LogValue.List(reload.NeedRestart)}.", "Restart when convenient.");
        bool isLocal = options.AdminListenAddr?.Host is { } host && IPAddress.IsLoopback(host);
        if (!options.Admin.BasicAuthUsers.IsEmpty && options.Admin.TlsCertFile is null && !isLocal)
            yield return new(Warning, "Passwords for this page are sent unencrypted.", "Set admin.tls, or bind admin_listen_addr to 127.0.0.1.");
    }

    private static IEnumerable<WarningEntry> OfCertificates(AdminContext context)
    {
        const string Remedy = "Make the certificate and its key a pair again, or fix the CA file; the log names the file and the error.";
        foreach (ServerCertificate certificate in context.Certificates.Where(static certificate => !certificate.IsCurrent))
        {
            yield return new(
                Warning,
                $"The certificate files of the {certificate.Listener} listener have changed and cannot be used: the previous certificate stays in use; it expires at {DisplayText.Time(certificate.NotAfter)}.",
                Remedy);
        }

        if (context.GatewayTls is { IsCurrent: false })
            yield return new(Warning, "A file of pushgateway.tls has changed and cannot be used: the previous files stay in use.", Remedy);
    }

    private static IEnumerable<WarningEntry> OfCleanup(CleanupView view)
    {
        if (!view.Enabled || view.HoldsLease == false || view.Last is not { } last) yield break;
        CleanupGateway[] failed = [.. last.Gateways.Where(static gateway => gateway.Error is not null).OrderBy(static gateway => !gateway.InRing)];
        if (failed is [var unread, ..])
        {
            int others = failed.Length - 1;
            yield return new(
                unread.InRing ? Warning : Note,
                $"The last cleanup could not read {unread.Address}{(others == 0 ? "" : $" and {DisplayText.Number(others, "other")}")}.",
                $"What depends on it is not deleted. {unread.Error}");
        }

        if (last.Stale > 0)
            yield return new(Note, $"{DisplayText.Number(last.Stale, "stale copy").Replace("copys", "copies", StringComparison.Ordinal)} left on gateways.", "The section Cleanup says which, and why.");
    }

    private static IEnumerable<WarningEntry> OfChanges(MembershipView view, CleanupView cleanup, DateTimeOffset now)
    {
        List<RingChange> recent = [.. view.History.Where(c => now - c.At < Recent && c.Cause != RingChangeCause.Start && c.MovedRatio > 0)];
        if (recent.Count >= Flapping)
        {
            yield return new(
                Warning,
                $"The ring changed {recent.Count} times within an hour.",
                "Each change leaves stale copies. Find the gateway that comes and goes in the ring changes below, and raise "
                + "pushgateway.health_check.failures_before_critical or membership.admit_after until it is fixed.");
        }

        if (recent is [var last, ..] && !IsCleanedSince(cleanup, last.At))
        {
            yield return new(
                Note,
                $"The ring changed {DisplayText.Age(now - last.At)} ago; {DisplayText.Percent(last.MovedRatio)} of the groups have a new owner.",
                "Their previous gateways keep stale copies. dynamic-sharding groups delete --stale deletes those, and never the owner's, which is the current one. "
                + "To find such groups in Prometheus: `count without (gateway) (push_time_seconds) > 1`");
        }
    }

    /// <summary>Every gateway was read since, and no stale copy was left.</summary>
    private static bool IsCleanedSince(CleanupView cleanup, DateTimeOffset change) =>
        cleanup is { Enabled: true, Last: { Stale: 0, IsSuccess: true } last } && last.StartedAt > change && last.ReadEveryGateway;
}
