using DynamicSharding.Discovery;

namespace DynamicSharding.Admin.Api;

/// <param name="ConsulIndex">Null without Consul.</param>
internal sealed record DiscoveryEntry(
    string Source,
    DateTimeOffset? LastGoodAnswer,
    long Failures,
    string? LastError,
    ulong? ConsulIndex,
    double? ConsulLastContactSeconds)
{
    public static DiscoveryEntry From(DiscoveryStatus status) => new(
        status.Source,
        status.LastGoodAnswer,
        status.Failures,
        status.LastError,
        status.Source == "consul" ? status.ConsulIndex : null,
        status.ConsulLastContact?.TotalSeconds);
}
