namespace DynamicSharding.LoadTests.Model;

/// <summary>What the server used during the recorded part of a run: user and system time, and resident memory at the end.</summary>
internal sealed record ServerUsage(TimeSpan Cpu, long ResidentBytes);
