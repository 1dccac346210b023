namespace DynamicSharding.Discovery;

/// <summary>What one probe found.</summary>
internal readonly record struct ProbeResult(bool Healthy, bool Overloaded, string Output);
