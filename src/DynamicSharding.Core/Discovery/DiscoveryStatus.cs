using System.Collections.Immutable;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>How the source of gateways is doing, for metrics and the status API.</summary>
/// <param name="Source">Where the gateways come from.</param>
/// <param name="LastGoodAnswer">Consul's, or when the last probe of a listed gateway ended. Null until the first, and for a list without probes.</param>
/// <param name="Failures">Failed refreshes since the start.</param>
/// <param name="LastError">The last failure in words; null after a success.</param>
/// <param name="ConsulIndex">X-Consul-Index of the last good answer; 0 without Consul.</param>
/// <param name="ConsulLastContact">How stale the answering server said it was; null without Consul.</param>
internal sealed record DiscoveryStatus(
    DiscoveryKind Source,
    DateTimeOffset? LastGoodAnswer,
    long Failures,
    string? LastError,
    ulong ConsulIndex,
    TimeSpan? ConsulLastContact)
{
    /// <summary>Whether the answering server knew a leader; null without Consul.</summary>
    public bool? ConsulKnownLeader { get; init; }

    /// <summary>Rows of Consul's answers that name no usable address, since the start.</summary>
    public long SkippedAddresses { get; init; }

    /// <summary>Configured, absent from Consul's response for longer than a registration takes, and passing our own probe.</summary>
    public ImmutableArray<string> HiddenGateways { get; init; } = [];

    /// <summary>Registrations and deregistrations that Consul accepted.</summary>
    public long RegistrationWrites { get; init; }

    /// <summary>Rounds of registration that failed.</summary>
    public long RegistrationFailures { get; init; }
}
