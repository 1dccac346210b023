namespace DynamicSharding.Consul;

/// <summary>
/// The check that the agent runs for an instance. There is no <c>Status</c> on purpose: registering as passing would call a gateway healthy
/// that nobody has asked.
/// </summary>
internal sealed record AgentServiceCheck
{
    public string? HTTP { get; init; }

    public string? TCP { get; init; }

    public SortedDictionary<string, string[]>? Header { get; init; }

    /// <summary>A duration as Go writes it.</summary>
    public required string Interval { get; init; }

    public required string Timeout { get; init; }

    public int? SuccessBeforePassing { get; init; }

    public int? FailuresBeforeCritical { get; init; }

    public string? DeregisterCriticalServiceAfter { get; init; }
}
