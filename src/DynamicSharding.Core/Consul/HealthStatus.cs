namespace DynamicSharding.Consul;

/// <summary>The words and check ids that Consul uses.</summary>
internal static class HealthStatus
{
    public const string Passing = "passing";
    public const string Warning = "warning";
    public const string Critical = "critical";

    public const string NodeMaintenance = "_node_maintenance";
    public const string ServiceMaintenancePrefix = "_service_maintenance:";

    /// <summary>Whether the agent's node is alive as its fellow agents see it.</summary>
    public const string SerfHealth = "serfHealth";
}
