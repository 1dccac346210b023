namespace DynamicSharding.Config;

internal sealed record HealthCheckOptions
{
    public bool Enabled { get; init; } = true;

    public string Path { get; init; } = "/-/healthy";

    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(2);

    public int FailuresBeforeCritical { get; init; } = 2;

    public int SuccessBeforePassing { get; init; } = 1;

    public bool OverloadIsHealthy { get; init; } = true;

    /// <summary>Resolved: tcp by default with Consul when the gateways want credentials or have a private CA, else http.</summary>
    public HealthCheckType Type { get; init; } = HealthCheckType.Http;

    public TimeSpan? DeregisterCriticalAfter { get; init; }
}
