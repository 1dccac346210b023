using System.Collections.Immutable;
using System.Diagnostics;
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

/// <summary>One replacement of the ring.</summary>
/// <param name="MovedRatio">Share of the hash space (0 to 1) whose owner changed.</param>
internal sealed record RingChange(
    DateTimeOffset At,
    string Reason,
    ImmutableArray<string> Before,
    ImmutableArray<string> After,
    double MovedRatio,
    TimeSpan BuildTime,
    string Fingerprint)
{
    /// <summary><see cref="Reason"/> as one word of a small set.</summary>
    public RingChangeCause Cause { get; init; }
}

/// <summary>Why a ring was replaced: the strongest of the reasons, for a metric's label.</summary>
internal enum RingChangeCause
{
    /// <summary>The first ring of the process.</summary>
    Start,

    /// <summary>Consul's first answer differed from what was assumed until then.</summary>
    FirstAnswer,

    Join,

    Drain,

    Loss,

    /// <summary>A loss that was held, and lasted.</summary>
    MassLoss,

    Reload,
}

/// <summary>The labels of what replaces a ring: few and fixed, so that every series is there from the start.</summary>
internal static class RingChangeCauses
{
    /// <summary>The first publication replaces nothing.</summary>
    public static ImmutableArray<RingChangeCause> Replacements { get; } =
        [.. Enum.GetValues<RingChangeCause>().Where(cause => cause != RingChangeCause.Start)];

    public static string Label(RingChangeCause cause) => cause switch
    {
        RingChangeCause.Start => "start",
        RingChangeCause.FirstAnswer => "first_answer",
        RingChangeCause.Join => "join",
        RingChangeCause.Drain => "drain",
        RingChangeCause.Loss => "loss",
        RingChangeCause.MassLoss => "mass_loss",
        RingChangeCause.Reload => "reload",
        _ => throw new UnreachableException($"ring change cause {cause} has no label"),
    };
}
