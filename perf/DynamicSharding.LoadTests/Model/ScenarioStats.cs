using System.Collections.Immutable;

namespace DynamicSharding.LoadTests.Model;

/// <summary>The results of one scenario. All latencies are from the intended send time to the last byte of the reply.</summary>
/// <param name="Replies">Answered as expected.</param>
/// <param name="GeneratorLag">Time from a due request with a free connection to its send: the generator's own delay.</param>
/// <param name="Disturbed">Requests near an event; empty without events.</param>
/// <param name="Seconds">By the second in which a request was due.</param>
/// <param name="ConnectionsOpened">Without those of the warm-up.</param>
internal sealed record ScenarioStats(
    Scenario Scenario,
    long Replies,
    ImmutableArray<long> Failures,
    LatencyHistogram Latency,
    ImmutableArray<LatencyHistogram> ByKind,
    LatencyHistogram GeneratorLag,
    LatencyHistogram Disturbed,
    LatencyHistogram Undisturbed,
    ImmutableArray<LatencyHistogram> Seconds,
    long ConnectionsOpened,
    TimeSpan Elapsed)
{
    public long Errors => Failures.Sum();

    public long Requests => Replies + Errors;

    /// <summary>Replies a second, from the first due request to the last reply.</summary>
    public double Rate => Elapsed > TimeSpan.Zero ? Replies / Elapsed.TotalSeconds : 0;

    public bool Passed => Scenario.Thresholds.All(threshold => threshold.Holds(this));

    public double ErrorRatio => Requests == 0 ? 0 : (double)Errors / Requests;
}

/// <summary>Why a request failed.</summary>
internal enum FailureKind
{
    ConnectFailed,
    Reset,
    ClosedEarly,
    WrongStatus,
    WrongLocation,
    BadReply,
    Timeout,

    /// <summary>Due, but no connection was free for it before the run ended.</summary>
    Unsent,
}
