using System.Text.Json.Serialization;

namespace DynamicSharding.Consul;

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ServiceEntry))]
[JsonSerializable(typeof(AgentService))]
[JsonSerializable(typeof(AgentServiceRegistration))]
internal sealed partial class ConsulJson : JsonSerializerContext;
