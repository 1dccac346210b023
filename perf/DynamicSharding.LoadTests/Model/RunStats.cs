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

/// <summary>What the server used during the recorded part of a run: user and system time, and resident memory at the end.</summary>
internal sealed record ServerUsage(TimeSpan Cpu, long ResidentBytes);
