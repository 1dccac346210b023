using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Admin;

/// <summary>How current the list of gateways is.</summary>
internal static class DiscoveryMetrics
{
    public static void Write(Exposition page, DiscoveryStatus discovery, DateTimeOffset now)
    {
        DateTimeOffset? last = discovery.LastGoodAnswer;
        page.Counter(MetricNames.DiscoveryFailures, "Failed refreshes of the gateway list.", discovery.Failures);
        page.Gauge(
            MetricNames.DiscoveryLastSuccess,
            "Unix time of the last usable response from Consul, or of the last probe of a static gateway.",
            last is { } at ? Exposition.UnixSeconds(at) : null);
        page.Gauge(
            MetricNames.DiscoverySinceSuccess,
            "Seconds since the last successful refresh, by the clock of this process.",
            last is { } then ? Math.Max(0, (now - then).TotalSeconds) : null);
        page.Gauge(
            MetricNames.ConsulIndex,
            "X-Consul-Index of the last usable response.",
            discovery.Source == DiscoveryKind.Consul ? discovery.ConsulIndex : null);
        page.Gauge(
            MetricNames.ConsulLastContact,
            "Time since the responding Consul server last heard from its leader.",
            discovery.ConsulLastContact?.TotalSeconds);
        page.Gauge(
            MetricNames.ConsulKnownLeader,
            "1 if the Consul server of the last usable response knew a leader.",
            discovery.ConsulKnownLeader is { } known ? (known ? 1 : 0) : null);
        page.Counter(
            MetricNames.ConsulSkippedAddresses, "Service entries from Consul without a usable address.", discovery.SkippedAddresses);
        page.Gauge(
            MetricNames.GatewaysHidden,
            "Configured gateways that are missing from Consul's response but pass our own probe.",
            discovery.HiddenGateways.Length);
        page.Counter(
            MetricNames.RegistrationWrites, "Registrations and deregistrations accepted by Consul.", discovery.RegistrationWrites);
        page.Counter(MetricNames.RegistrationFailures, "Failed registration rounds.", discovery.RegistrationFailures);
    }
}
