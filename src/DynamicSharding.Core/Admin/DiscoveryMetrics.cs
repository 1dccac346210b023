using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Admin;

/// <summary>How current the list of gateways is.</summary>
internal static class DiscoveryMetrics
{
    public static void Write(Exposition page, DiscoveryStatus discovery, DateTimeOffset now)
    {
        DateTimeOffset? last = discovery.LastGoodAnswer;
        page.Counter("dynamic_sharding_discovery_failures_total", "Failed refreshes of the gateway list.", discovery.Failures);
        page.Gauge(
            "dynamic_sharding_discovery_last_success_timestamp_seconds",
            "Unix time of the last usable response from Consul, or of the last probe of a static gateway.",
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
            "1 if the Consul server of the last usable response knew a leader.",
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
