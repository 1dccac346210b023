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

    private async Task WriteAsync(HttpContext http, GroupSource source, HashRing<Gateway> ring, ImmutableArray<GroupMatcher> matchers)
    {
        http.Response.ContentType = "application/json; charset=utf-8";
        if (HttpMethods.IsHead(http.Request.Method)) return;

        // With keys by path, the owner depends on how a client spells the group.
        GroupOwners? owners = context.Options().Sharding.Key == ShardingKey.Group ? new GroupOwners(ring) : null;
        List<ReadGateway> gateways = [];
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteStartArray("groups");
        foreach (CleanupTarget target in source.Targets())
        {
            long read = 0;
            string? error = null;
            try
            {
                bool utf8Names = (await source.Client.StatusAsync(target.Address, http.RequestAborted)).Utf8Names;
                await foreach (PushgatewayGroup group in source.Client.GroupsAsync(target.Address, http.RequestAborted))
                {
                    read++;
                    if (!matchers.IsEmpty && !GroupMatcher.AnyMatches(matchers, group.Labels)) continue;
                    string? owner = owners?.Of(group, utf8Names);
                    GroupsJson.WriteCopy(json, group, target.Address, owner, utf8Names, owner == target.Address ? GroupsJson.Owner : GroupsJson.Other, reason: null);
                    if (json.BytesPending < FlushBytes) continue;
                    await json.FlushAsync(http.RequestAborted);
                }
            }
            catch (PushgatewayException e)
            {
                error = e.Message;
            }

            gateways.Add(new(target.Address, read, error));
        }

        json.WriteEndArray();
        GroupsJson.WriteGateways(json, gateways);
        json.WriteEndObject();
        await json.FlushAsync(http.RequestAborted);
    }

    private static Task ErrorAsync(HttpContext http, int status, string error) => AdminResponse.BytesAsync(
        http, status, "application/json; charset=utf-8", AdminResponse.Serialize(new ErrorResponse(error), AdminJson.Default.ErrorResponse));
}
