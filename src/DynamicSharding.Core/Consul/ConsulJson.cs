using System.Text.Json.Serialization;

namespace DynamicSharding.Consul;

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(List<ServiceEntry>))]
[JsonSerializable(typeof(Dictionary<string, AgentService>))]
[JsonSerializable(typeof(AgentServiceRegistration))]
internal sealed partial class ConsulJson : JsonSerializerContext;
