using System.Collections.Immutable;
using System.Text.Json;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Admin;

/// <summary>
/// <c>GET /api/v1/groups?match=</c>: the groups of all gateways, read now, one gateway after the other, and written while they arrive. A gateway
/// that cannot be read is named under <c>errors</c>.
/// </summary>
internal sealed class GroupsEndpoint(AdminContext context)
{
    /// <summary>Each makes every Pushgateway build its whole store as one document.</summary>
    private const int MaxConcurrent = 1;

    private const int FlushBytes = 32 * 1024;

    private int _inProgress;

    public async Task RespondAsync(HttpContext http)
    {
        var matchers = ImmutableArray.CreateBuilder<GroupMatcher>();
        foreach (string? text in http.Request.Query["match"])
        {
            if (GroupMatcher.TryParse(text ?? "", out GroupMatcher matcher) is { } problem)
            {
                await ErrorAsync(http, 400, "match: " + problem);
                return;
            }

            matchers.Add(matcher);
        }

        if (context.Groups is not { } source || context.Ring.Current is not { } ring)
        {
            await ErrorAsync(http, 503, "there is no ring yet");
            return;
        }

        try
        {
            if (Interlocked.Increment(ref _inProgress) > MaxConcurrent) await AdminResponse.BusyAsync(http);
            else await WriteAsync(http, source, ring, matchers.ToImmutable());
        }
        finally
        {
            Interlocked.Decrement(ref _inProgress);
        }
    }

    private static async Task WriteAsync(HttpContext http, GroupSource source, HashRing<Gateway> ring, ImmutableArray<GroupMatcher> matchers)
    {
        http.Response.ContentType = "application/json; charset=utf-8";
        if (HttpMethods.IsHead(http.Request.Method)) return;
        var owners = new GroupOwners(ring);
        List<(string Gateway, string Error)> errors = [];
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteStartArray("groups");
        foreach (CleanupTarget target in source.Targets())
        {
            try
            {
                bool utf8Names = (await source.Client.StatusAsync(target.Address, http.RequestAborted)).Utf8Names;
                await foreach (PushgatewayGroup group in source.Client.GroupsAsync(target.Address, http.RequestAborted))
                {
                    if (!matchers.IsEmpty && !GroupMatcher.AnyMatches(matchers, group.Labels)) continue;
                    Write(json, group, target.Address, owners.Of(group, utf8Names), utf8Names);
                    if (json.BytesPending < FlushBytes) continue;
                    await json.FlushAsync(http.RequestAborted);
                }
            }
            catch (PushgatewayException e)
            {
                errors.Add((target.Address, e.Message));
            }
        }

        json.WriteEndArray();
        json.WriteStartArray("errors");
        foreach ((string gateway, string error) in errors)
        {
            json.WriteStartObject();
            json.WriteString("gateway", gateway);
            json.WriteString("error", error);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        await json.FlushAsync(http.RequestAborted);
    }

    private static void Write(Utf8JsonWriter json, PushgatewayGroup group, string gateway, string? owner, bool utf8Names)
    {
        json.WriteStartObject();
        json.WriteString("gateway", gateway);
        json.WriteString("owner", owner);
        json.WriteStartObject("labels");
        foreach ((string name, string value) in group.Labels) json.WriteString(name, value);
        json.WriteEndObject();

        // False if a pushed metric named labels hides whether the group has an empty instance.
        json.WriteBoolean("labels_are_exact", group.HasExactLabels);
        json.WriteString("path", GroupPath.Of(group.Labels, utf8Names));
        json.WriteBoolean("last_push_successful", group.LastPushSuccessful);
        WriteTime(json, "push_time_seconds", group.PushTime);
        WriteTime(json, "push_failure_time_seconds", group.PushFailureTime);
        json.WriteStartObject("families");
        foreach (MetricFamily family in group.Families) json.WriteString(family.Name, family.Type);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, double seconds)
    {
        if (double.IsFinite(seconds)) json.WriteNumber(name, seconds);
        else json.WriteNull(name);
    }

    private static Task ErrorAsync(HttpContext http, int status, string error) => AdminResponse.BytesAsync(
        http, status, "application/json; charset=utf-8", AdminResponse.Serialize(new ErrorResponse(error), AdminJson.Default.ErrorResponse));
}
