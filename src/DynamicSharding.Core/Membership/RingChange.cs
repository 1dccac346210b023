using System.Collections.Immutable;

namespace DynamicSharding.Membership;

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
