namespace DynamicSharding.LoadTests.Model;

/// <summary>A client on a bad line: so many bytes, then a pause.</summary>
internal sealed record Trickle(int Bytes, TimeSpan Every);
