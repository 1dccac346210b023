using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Membership;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>The ring, its changes and its gateways.</summary>
internal static class RingMetrics
{
    public static void Write(Exposition page, FleetView fleet, ServerOptions options)
    {
        MembershipView membership = fleet.Membership;
        page.Gauge(MetricNames.RingMembers, "Gateways in the ring.", fleet.Ring?.Members.Length ?? 0);
        page.Gauge(MetricNames.GatewaysConfigured, "Gateways listed in the configuration file.", options.Pushgateway.Servers.Length);
        page.Gauge(
            MetricNames.GatewaysRefused,
            "Discovered gateways that membership.allow excludes.",
            fleet.Gateways.Count(static g => g.Status.State == GatewayState.Refused));
        Gauge info = page.Gauges(MetricNames.RingInfo, "The current ring; equal on instances that agree.", "fingerprint", "key", "replicas");
        if (fleet.Ring is { } ring)
        {
            ShardingOptions sharding = options.Sharding;
            info.WithLabels(ring.Fingerprint, sharding.Key.Name(), sharding.Replicas.ToString(CultureInfo.InvariantCulture)).Set(1);
        }

        Gauge ownership = page.Gauges(MetricNames.RingOwnership, "Share of the hash space that a gateway owns.", "gateway");
        Gauge states = page.Gauges(MetricNames.GatewayState, "1 for the current state of a gateway, 0 for the others.", "gateway", "state");
        Gauge overloaded = page.Gauges(MetricNames.GatewayOverloaded, "1 while a gateway reports a full write queue.", "gateway");
        Counter redirects = page.Counters(MetricNames.Redirects, "Redirects to a gateway.", "gateway");
        foreach (FleetGateway gateway in fleet.Gateways)
        {
            string address = gateway.Status.Address;
            if (gateway.InRing) ownership.WithLabels(address).Set(gateway.Ownership);
            foreach (GatewayState state in GatewayStates.All)
                states.WithLabels(address, GatewayStates.Label(state)).Set(state == gateway.Status.State ? 1 : 0);
            overloaded.WithLabels(address).Set(gateway.Status.Overloaded ? 1 : 0);
            redirects.WithLabels(address).IncTo(gateway.Redirects);
        }

        Counter changes = page.Counters(MetricNames.RingChanges, "Ring changes, by reason.", "reason");
        foreach (RingChangeCause cause in RingChangeCauses.Replacements)
            changes.WithLabels(RingChangeCauses.Label(cause)).IncTo(membership.ChangesByCause.GetValueOrDefault(cause));
        RingChange? last = membership.History is [var newest, ..] ? newest : null;
        page.Gauge(MetricNames.RingMoved, "Share of the hash space that changed owner in the last ring change.", last?.MovedRatio);
        page.Gauge(MetricNames.RingBuild, "Time taken to build the current ring.", last?.BuildTime.TotalSeconds);
        page.Counter(MetricNames.RingBuildFailures, "Rings that failed to build; the previous ring stayed in use.", membership.BuildFailures);
    }
}
