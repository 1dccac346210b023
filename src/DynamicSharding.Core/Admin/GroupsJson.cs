using System.Text.Json;
using DynamicSharding.Cleanup;

namespace DynamicSharding.Admin;

/// <summary>
/// The parts that the documents of <c>/api/v1/groups</c> and of the command <c>groups</c> have in common: a copy of a group, and the gateways
/// that were read. Written and not serialized, because the API writes while it reads.
/// </summary>
internal static class GroupsJson
{
    public const string Owner = "owner", Other = "other";

    /// <param name="owner">Null if nobody can tell.</param>
    /// <param name="utf8Names">How the gateway reads names.</param>
    /// <param name="result">What the copy is, or what became of it.</param>
    /// <param name="reason">Why it is left.</param>
    public static void WriteCopy(Utf8JsonWriter json, PushgatewayGroup group, string gateway, string? owner, bool utf8Names, string result, string? reason)
    {
        json.WriteStartObject();
        json.WriteString("gateway", gateway);
        json.WriteString("owner", owner);
        WriteLabels(json, group);

        // False if a pushed metric named labels hides whether the group has an empty instance.
        json.WriteBoolean("labels_are_exact", group.HasExactLabels);
        json.WriteString("path", GroupPath.Of(group.Labels, utf8Names));
        json.WriteBoolean("last_push_successful", group.LastPushSuccessful);
        WriteTime(json, "push_time_seconds", group.PushTime);
        WriteTime(json, "push_failure_time_seconds", group.PushFailureTime);
        json.WriteStartObject("families");
        foreach (MetricFamily family in group.Families) json.WriteString(family.Name, family.Type);
        json.WriteEndObject();
        json.WriteString("result", result);
        json.WriteString("reason", reason);
        json.WriteEndObject();
    }

    public static void WriteLabels(Utf8JsonWriter json, PushgatewayGroup group)
    {
        json.WriteStartObject("labels");
        foreach ((string name, string value) in group.Labels) json.WriteString(name, value);
        json.WriteEndObject();
    }

    /// <summary>Every gateway with the number of its groups or its error, and those that could not be read once more.</summary>
    public static void WriteGateways(Utf8JsonWriter json, IReadOnlyCollection<ReadGateway> gateways)
    {
        json.WriteStartArray("gateways");
        foreach (ReadGateway gateway in gateways)
        {
            json.WriteStartObject();
            json.WriteString("address", gateway.Address);
            if (gateway.Error is null) json.WriteNumber("groups", gateway.Groups);
            else json.WriteNull("groups");
            json.WriteString("error", gateway.Error);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("errors");
        foreach (ReadGateway gateway in gateways)
        {
            if (gateway.Error is null) continue;
            json.WriteStartObject();
            json.WriteString("gateway", gateway.Address);
            json.WriteString("error", gateway.Error);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, double seconds)
    {
        if (double.IsFinite(seconds)) json.WriteNumber(name, seconds);
        else json.WriteNull(name);
    }
}

/// <param name="Groups">All that it holds, selected or not.</param>
/// <param name="Error">Why it could not be read; null if it could.</param>
internal readonly record struct ReadGateway(string Address, long Groups, string? Error);
