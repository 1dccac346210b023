using System.Collections.Immutable;

namespace DynamicSharding.LoadTests.Model;

/// <summary>One run, as a report needs it.</summary>
/// <param name="EventsMissed">Why an event had no effect; such a run has not tested what it claims.</param>
internal sealed record RunStats(
    LoadTest Test,
    DateTimeOffset Started,
    string Target,
    ServerUsage? Server,
    ImmutableArray<TimeSpan> EventTimes,
    ImmutableArray<string> EventsMissed,
    ImmutableArray<ScenarioStats> Scenarios)
{
    public bool Passed => EventsMissed.IsEmpty && Scenarios.All(static stats => stats.Passed);
}
