using System.Collections.Immutable;
using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>What the membership room knows at one moment: an immutable snapshot that other rooms may keep.</summary>
/// <param name="Gateways">Every gateway that is configured or discovered, sorted by address.</param>
/// <param name="History">Ring changes, newest first, bounded.</param>
/// <param name="Changes">Ring changes since the start, the first publication not counted.</param>
/// <param name="HasVerdict">Every configured gateway has had a first verdict: what readiness waits for.</param>
internal sealed record MembershipView(
    ImmutableArray<GatewayStatus> Gateways,
    ImmutableArray<RingChange> History,
    long Changes,
    bool HasVerdict,
    DiscoveryStatus Discovery)
{
    /// <summary>Ring changes since the start by their cause; the first publication counts as <see cref="RingChangeCause.Start"/>.</summary>
    public ImmutableDictionary<RingChangeCause, long> ChangesByCause { get; init; } = ImmutableDictionary<RingChangeCause, long>.Empty;

    /// <summary>Rings that could not be built.</summary>
    public long BuildFailures { get; init; }
}
