namespace DynamicSharding.Consul;

/// <summary>One row of <c>/v1/health/service</c>: an instance, the node of the agent that registered it, and the checks of both.</summary>
internal sealed record ServiceEntry(Node? Node, AgentService? Service, HealthCheck[]? Checks);
