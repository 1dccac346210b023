namespace DynamicSharding.LoadTests.Engine;

/// <summary>The right answer to one request.</summary>
/// <param name="Kind">Its index among the scenario's request kinds.</param>
/// <param name="Target">What a 307's Location ends with; empty for any other status.</param>
internal sealed record Expectation(int Kind, int Status, byte[] Target);
