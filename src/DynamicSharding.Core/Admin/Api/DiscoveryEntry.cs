using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Admin.Api;

/// <param name="SecondsSinceGoodAnswer">
/// By this process's clock; null until the first, and for a list that is not probed. A quiet Consul answers about once a minute.
/// </param>
/// <param name="ConsulIndex">Null without Consul.</param>
internal sealed record DiscoveryEntry(
    string Source,
    DateTimeOffset? LastGoodAnswer,
    double? SecondsSinceGoodAnswer,
    long Failures,
    string? LastError,
    ulong? ConsulIndex,
    double? ConsulLastContactSeconds)
{
    public static DiscoveryEntry From(DiscoveryStatus status, DateTimeOffset now) => new(
        status.Source == DiscoveryKind.Consul ? "consul" : "static",
        status.LastGoodAnswer,
        status.LastGoodAnswer is { } last ? Math.Max(0, (now - last).TotalSeconds) : null,
        status.Failures,
        status.LastError,
        status.Source == DiscoveryKind.Consul ? status.ConsulIndex : null,
        status.ConsulLastContact?.TotalSeconds);
}
