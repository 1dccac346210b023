namespace DynamicSharding.Consul;

/// <summary>What is written to register an instance. An agent refuses keys that it does not know, so what is null is left out.</summary>
internal sealed record AgentServiceRegistration
{
    public required string ID { get; init; }

    public required string Name { get; init; }

    public required string Address { get; init; }

    public required int Port { get; init; }

    public SortedDictionary<string, string>? Meta { get; init; }

    public AgentServiceCheck? Check { get; init; }
}
