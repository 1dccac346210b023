namespace DynamicSharding.LoadTests.Model;

/// <summary>A client on a slow line: sends some bytes, then pauses.</summary>
internal sealed record Trickle(int Bytes, TimeSpan Every);
