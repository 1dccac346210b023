using System.Collections.Immutable;

namespace DynamicSharding.Discovery;

/// <summary>Everything a source knows at one moment. A gateway that it does not name has no verdict.</summary>
/// <param name="Verdicts">At most one per address.</param>
/// <param name="Patience">How long a gateway without a verdict keeps its state; infinite where a verdict is sure to come.</param>
internal sealed record GatewayReport(ImmutableArray<GatewayVerdict> Verdicts, TimeSpan Patience)
{
    /// <summary>The source lost its own source: what was known stays true, and nothing may be concluded from time going by.</summary>
    public static readonly GatewayReport Interruption = new([], Timeout.InfiniteTimeSpan) { Interrupted = true };

    public bool Interrupted { get; private init; }

    /// <summary>Time counts only from one such report to the next, and only if they are close together.</summary>
    public bool MustBeFresh { get; init; }

    /// <summary>When the source's own source said so, as a timestamp of the clock; null: now. Judging old words anew makes them no newer.</summary>
    public long? HeardAt { get; init; }

    /// <summary>The first answer of the authority: it is taken over as it is, without damping, in place of the guesses before it.</summary>
    public bool Adopt { get; init; }
}
