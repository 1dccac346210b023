namespace DynamicSharding.LoadTests.Engine;

/// <summary>The expected response to one request.</summary>
/// <param name="Kind">Its index among the scenario's request kinds.</param>
/// <param name="Target">The end of a 307's Location; empty for any other status.</param>
internal sealed record Expectation(int Kind, int Status, byte[] Target);
