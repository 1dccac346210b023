namespace DynamicSharding.Consul;

/// <summary>The state of one check. A check of the node has no service id.</summary>
internal sealed record HealthCheck(string? CheckID, string? Status, string? Output, string? ServiceID);
