using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>The ring, its changes, its gateways, and how current the list of gateways is.</summary>
internal static class GatewayMetrics
{
    public static void Write(Exposition page, FleetView fleet, ServerOptions options)
    {
        MembershipView membership = fleet.Membership;
        page.Gauge("dynamic_sharding_ring_members", "Gateways in the ring.", fleet.Ring?.Members.Length ?? 0);
        page.Gauge(
            "dynamic_sharding_gateways_configured",
            "Gateways listed in the configuration file, without those of weight 0.",
            options.Pushgateway.Servers.Count(server => options.Pushgateway.ServerWeights.GetValueOrDefault(server, 1) > 0));
        page.Gauge(
            "dynamic_sharding_gateways_refused",
            "Discovered gateways that membership.allow excludes.",
            fleet.Gateways.Count(static g => g.Status.State == GatewayState.Refused));
        Gauge info = page.Gauges(
            "dynamic_sharding_ring_info", "Information about the current ring; always 1. Instances that agree have equal labels.", "fingerprint", "key", "replicas");
        if (fleet.Ring is { } ring)
        {
            ShardingOptions sharding = options.Sharding;
            info.WithLabels(ring.Fingerprint, sharding.Key.Name(), sharding.Replicas.ToString(CultureInfo.InvariantCulture)).Set(1);
        }

        Gauge ownership = page.Gauges("dynamic_sharding_ring_ownership_ratio", "Share of the hash space that a gateway owns.", "gateway");
        Gauge weights = page.Gauges("dynamic_sharding_gateway_weight", "Weight of a gateway: in the ring, or that it would have there; 0 keeps it out.", "gateway");
        Gauge states = page.Gauges(
            "dynamic_sharding_gateway_state", "1 for the current state of a gateway, 0 for the others.", "gateway", "state");
        Gauge overloaded = page.Gauges("dynamic_sharding_gateway_overloaded", "1 while a gateway reports a full write queue.", "gateway");
        Counter redirects = page.Counters("dynamic_sharding_redirects_total", "Redirects to a gateway.", "gateway");
        foreach (FleetGateway gateway in fleet.Gateways)
        {
            string address = gateway.Status.Address;
            if (gateway.InRing) ownership.WithLabels(address).Set(gateway.Ownership);
            foreach (GatewayState state in GatewayStates.All)
                states.WithLabels(address, GatewayStates.Label(state)).Set(state == gateway.Status.State ? 1 : 0);
            weights.WithLabels(address).Set(gateway.Weight);
            overloaded.WithLabels(address).Set(gateway.Status.Overloaded ? 1 : 0);
            redirects.WithLabels(address).IncTo(gateway.Redirects);
        }

        Counter changes = page.Counters("dynamic_sharding_ring_changes_total", "Ring changes, by reason.", "reason");
        foreach (RingChangeCause cause in RingChangeCauses.Replacements)
            changes.WithLabels(RingChangeCauses.Label(cause)).IncTo(membership.ChangesByCause.GetValueOrDefault(cause));
        RingChange? last = membership.History is [var newest, ..] ? newest : null;
        page.Gauge(
            "dynamic_sharding_ring_moved_ratio", "Share of the hash space that changed owner in the last ring change.", last?.MovedRatio);
        page.Gauge("dynamic_sharding_ring_build_seconds", "Time taken to build the current ring.", last?.BuildTime.TotalSeconds);
        page.Counter(
            "dynamic_sharding_ring_build_failures_total",
            "Rings that failed to build; the previous ring stayed in use.",
            membership.BuildFailures);
    }

    public static void WriteDiscovery(Exposition page, DiscoveryStatus discovery, DateTimeOffset now)
    {
        DateTimeOffset? last = discovery.LastGoodAnswer;
        page.Counter("dynamic_sharding_discovery_failures_total", "Failed refreshes of the gateway list.", discovery.Failures);
        page.Gauge(
            "dynamic_sharding_discovery_last_success_timestamp_seconds",
            "Unix time of the last usable response of discovery, or of the last probe of a static gateway.",
            last is { } at ? Exposition.UnixSeconds(at) : null);
        page.Gauge(
            "dynamic_sharding_discovery_seconds_since_last_success",
            "Seconds since the last successful refresh, by the clock of this process.",
            last is { } then ? Math.Max(0, (now - then).TotalSeconds) : null);
        page.Gauge(
            "dynamic_sharding_consul_index",
            "X-Consul-Index of the last usable response.",
            discovery.Source == DiscoveryKind.Consul ? discovery.ConsulIndex : null);
        page.Gauge(
            "dynamic_sharding_consul_last_contact_seconds",
            "Time since the responding Consul server last heard from its leader.",
            discovery.ConsulLastContact?.TotalSeconds);
        page.Gauge(
            "dynamic_sharding_consul_known_leader",
            "1 if the Consul server that sent the last usable response knew a leader, else 0.",
            discovery.ConsulKnownLeader is { } known ? (known ? 1 : 0) : null);
        page.Counter(
            "dynamic_sharding_consul_skipped_addresses_total",
            "Service entries from Consul without a usable address.",
            discovery.SkippedAddresses);
        page.Gauge(
            "dynamic_sharding_gateways_hidden",
            "Configured gateways that are missing from Consul's response but pass our own probe.",
            discovery.HiddenGateways.Length);
        page.Counter(
            "dynamic_sharding_registration_writes_total",
            "Registrations and deregistrations accepted by Consul.",
            discovery.RegistrationWrites);
        page.Counter("dynamic_sharding_registration_failures_total", "Failed registration rounds.", discovery.RegistrationFailures);
    }
}
