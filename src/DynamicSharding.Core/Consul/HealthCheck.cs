namespace DynamicSharding.Consul;

/// <summary>The state of one check. A check of the node has no service id; a maintenance has its reason in the notes.</summary>
internal sealed record HealthCheck(string? CheckID, string? Status, string? Output, string? ServiceID, string? Notes = null);
