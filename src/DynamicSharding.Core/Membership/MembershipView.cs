using System.Collections.Immutable;
using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>An immutable snapshot of everything that membership knows.</summary>
/// <param name="Gateways">All that are configured or discovered, sorted by address.</param>
/// <param name="History">Ring changes, newest first, bounded.</param>
/// <param name="Changes">Ring changes since the start, without the first ring.</param>
/// <param name="HasVerdict">Every configured gateway has had a verdict: readiness waits for that.</param>
internal sealed record MembershipView(
    ImmutableArray<GatewayStatus> Gateways,
    ImmutableArray<RingChange> History,
    long Changes,
    bool HasVerdict,
    DiscoveryStatus Discovery)
{
    /// <summary>Ring changes since the start by their cause, including the first ring.</summary>
    public ImmutableDictionary<RingChangeCause, long> ChangesByCause { get; init; } = ImmutableDictionary<RingChangeCause, long>.Empty;

    /// <summary>Discovery has reported at least once: the list of gateways is that of the source, not an assumption.</summary>
    public bool HasReport { get; init; }

    /// <summary>Addresses that were in the ring and when they left it, as timestamps of the clock.</summary>
    public IReadOnlyDictionary<string, long> Former { get; init; } = ImmutableDictionary<string, long>.Empty;

    /// <summary>Rings that could not be built.</summary>
    public long BuildFailures { get; init; }
}

/// <param name="MovedRatio">Share of the hash space, 0 to 1, whose owner changed.</param>
internal sealed record RingChange(
    DateTimeOffset At,
    string Reason,
    ImmutableArray<string> Before,
    ImmutableArray<string> After,
    double MovedRatio,
    TimeSpan BuildTime,
    string Fingerprint)
{
    public RingChangeCause Cause { get; init; }
}

/// <summary>Why a ring was replaced: the strongest of the reasons. The names are in <see cref="RingChangeCauses"/>, in this order.</summary>
internal enum RingChangeCause
{
    /// <summary>The first ring of the process.</summary>
    Start,

    /// <summary>Consul's first response differed from the assumption of the start.</summary>
    FirstAnswer,
    Join,
    Drain,
    Loss,

    /// <summary>Many were lost at once, were held, and did not return in time.</summary>
    MassLoss,
    Reload,

    /// <summary>A weight changed, perhaps to 0.</summary>
    Weight,
}

internal static class RingChangeCauses
{
    private static readonly ImmutableArray<string> Labels = ["start", "first_answer", "join", "drain", "loss", "mass_loss", "reload", "weight"];

    /// <summary>Every cause but the start, which replaces nothing.</summary>
    public static ImmutableArray<RingChangeCause> Replacements { get; } =
        [.. Enum.GetValues<RingChangeCause>().Where(static cause => cause != RingChangeCause.Start)];

    /// <summary>The value of the <c>reason</c> label of <c>dynamic_sharding_ring_changes_total</c>; the log calls it <c>cause</c>.</summary>
    public static string Label(RingChangeCause cause) => Labels[(int)cause];
}
