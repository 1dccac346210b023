using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Commands;

/// <summary>
/// Reads the members of a running server's ring from its status. Only what a ring is made of is looked at, so that a newer or older
/// server's other fields do not matter.
/// </summary>
internal static class ServerStatusReader
{
    public static RingDefinition Read(ReadOnlyMemory<byte> json)
    {
        using JsonDocument status = JsonDocument.Parse(json);
        JsonElement root = status.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("members", out JsonElement members) || members.ValueKind != JsonValueKind.Array)
        {
            throw new JsonException("the answer has no list of members");
        }

        var definition = new RingDefinition([.. members.EnumerateArray().Where(IsInTheRing).Select(AddressOf).OfType<string>()]);
        if (definition.Members.FirstOrDefault(static member => HostText.CheckAuthority(member, out bool hasPort) is not null || !hasPort) is not null)
        {
            throw new JsonException("a member is no host and port");
        }

        if (root.TryGetProperty("replicas", out JsonElement replicas))
        {
            bool good = replicas.ValueKind == JsonValueKind.Number && replicas.TryGetInt32(out int count) && count is > 0 and <= MemberSource.MaxReplicas;
            definition = definition with { Replicas = good ? replicas.GetInt32() : throw new JsonException("its replicas are no number of points") };
        }

        if (!root.TryGetProperty("key", out JsonElement key)) return definition;
        string? name = key.ValueKind == JsonValueKind.String ? key.GetString() : null;
        return definition with { Key = ShardingKeyNames.Find(name) ?? throw new JsonException("its key is neither group nor path") };
    }

    /// <summary>The server says it. One that does not is asked for the state: joining and out are not in the ring, a draining one may be.</summary>
    private static bool IsInTheRing(JsonElement member) => member.ValueKind switch
    {
        JsonValueKind.String => true,
        JsonValueKind.Object when member.TryGetProperty("in_ring", out JsonElement inRing) => inRing.ValueKind == JsonValueKind.True,
        _ => StringOf(member, "state") is null or "member" or "leaving" or "held",
    };

    private static string? AddressOf(JsonElement member) =>
        member.ValueKind == JsonValueKind.String ? member.GetString() : StringOf(member, "address");

    private static string? StringOf(JsonElement member, string name) =>
        member.ValueKind == JsonValueKind.Object && member.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
