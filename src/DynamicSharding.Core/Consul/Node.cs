using System.Text.Json.Serialization;

namespace DynamicSharding.Consul;

/// <summary>The machine of the agent that registered an instance.</summary>
internal sealed record Node([property: JsonPropertyName("Node")] string? Name, string? Address);
