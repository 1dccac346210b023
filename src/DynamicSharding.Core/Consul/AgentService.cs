namespace DynamicSharding.Consul;

/// <summary>An instance as the agent or the catalog tells it. An empty address means the node's.</summary>
internal sealed record AgentService(string? ID, string? Service, string? Address, int Port, Dictionary<string, string>? Meta);
