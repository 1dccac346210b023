using System.Text.Json.Serialization;

namespace DynamicSharding.Admin.Api;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StatusResponse))]
[JsonSerializable(typeof(RingResponse))]
[JsonSerializable(typeof(HistoryResponse))]
[JsonSerializable(typeof(LookupResponse))]
[JsonSerializable(typeof(SimulateResponse))]
[JsonSerializable(typeof(ErrorResponse))]
internal sealed partial class AdminJson : JsonSerializerContext;
