using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DynamicSharding.Admin.Api;
using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>One method for each address of the admin listener.</summary>
internal sealed class AdminHandler(
    AdminContext context, Fleet fleet, MetricsPage metrics, RefusalCounter refusals, ILogger logger, CancellationToken stopping)
{
    /// <summary>Nothing here reads a body; a little is allowed because some clients send one with a POST.</summary>
    public const int MaxBodyBytes = 1024;

    private const string Text = "text/plain; charset=utf-8";
    private readonly Lookup _lookup = new(context);

    public async Task HandleAsync(HttpContext http)
    {
        http.Response.Headers.XContentTypeOptions = "nosniff";
        http.Response.Headers.CacheControl = "no-store";
        try
        {
            await RouteAsync(http);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client went away.
        }
        catch (Exception e)
        {
            logger.AdminRequestFailed(e, http.Request.Path.Value ?? "");
            if (http.Response.HasStarted) http.Abort();
            else await WriteTextAsync(http, 500, "internal error, see the log\n");
        }
    }

    private Task RouteAsync(HttpContext http)
    {
        // Ordinal, unlike endpoint routing: paths are case-sensitive here as on the data listener.
        string path = http.Request.Path.Value ?? "";
        if (http.Request.ContentLength > MaxBodyBytes) return WriteTextAsync(http, 413, "no body is expected here\n");
        if (path == "/-/reload") return AllowsWrite(http) ? ReloadAsync(http) : RefuseMethodAsync(http, "POST, PUT");
        Func<HttpContext, Task>? read = path switch
        {
            "/metrics" => MetricsAsync,
            "/-/healthy" => HealthyAsync,
            "/-/ready" => ReadyAsync,
            "/api/v1/status" => StatusAsync,
            "/api/v1/ring" => RingAsync,
            "/api/v1/lookup" => LookupAsync,
            "/api/v1/history" => HistoryAsync,
            _ => null,
        };
        if (read is null) return WriteTextAsync(http, 404, "not found\n");
        return HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method)
            ? read(http)
            : RefuseMethodAsync(http, "GET, HEAD");
    }

    private static bool AllowsWrite(HttpContext http) => HttpMethods.IsPost(http.Request.Method) || HttpMethods.IsPut(http.Request.Method);

    private static Task RefuseMethodAsync(HttpContext http, string allow)
    {
        http.Response.Headers.Allow = allow;
        return WriteTextAsync(http, 405, "method not allowed\n");
    }

    private async Task MetricsAsync(HttpContext http) =>
        await WriteAsync(http, 200, MetricsPage.ContentType, await metrics.RenderAsync(http.RequestAborted));

    private static Task HealthyAsync(HttpContext http) => WriteTextAsync(http, 200, "OK\n");

    private Task ReadyAsync(HttpContext http)
    {
        Readiness readiness = context.Readiness;
        return WriteTextAsync(http, readiness.IsReady ? 200 : 503, readiness.IsReady ? "OK\n" : readiness.Reason + "\n");
    }

    private async Task ReloadAsync(HttpContext http)
    {
        if (!OriginCheck.Allows(http.Request))
        {
            refusals.Count(Refusal.CrossOrigin);
            logger.AdminCrossOriginRefused(http.Request.Headers.Origin);
            await WriteTextAsync(http, 403, "sent by a page of another origin\n");
            return;
        }

        // Not the request's own token: a client that hangs up must not leave half a reload behind.
        ReloadResult result = await context.Reload(stopping);
        string body = result.Applied
            ? "OK\n" + Lines(result.NeedRestart.Select(key => $"needs a restart: {key}"))
            : Lines(result.Errors);
        await WriteTextAsync(http, result.Applied ? 200 : 400, body);
    }

    private Task StatusAsync(HttpContext http)
    {
        FleetView view = fleet.Look();
        ServerOptions options = context.Options();
        MembershipView membership = view.Membership;
        Readiness readiness = context.Readiness;
        var status = new StatusResponse(
            context.Build.Version,
            context.Build.Revision,
            context.Started,
            (context.Time.GetUtcNow() - context.Started).TotalSeconds,
            readiness.IsReady,
            readiness.Reason,
            view.Ring?.Fingerprint,
            options.Sharding.Replicas,
            options.Sharding.Key.Name(),
            DiscoveryEntry.From(membership.Discovery, context.Time.GetUtcNow()),
            [.. view.Gateways.Select(MemberEntry.From)],
            options.Pushgateway.Servers,
            membership.Changes,
            membership.History is [var last, ..] ? ChangeEntry.From(last) : null);
        return WriteJsonAsync(http, 200, status, AdminJson.Default.StatusResponse);
    }

    private Task RingAsync(HttpContext http)
    {
        FleetView view = fleet.Look();
        ShardingOptions sharding = context.Options().Sharding;
        RingMemberEntry[] members =
            [.. view.Gateways.Where(g => g.InRing).Select(g => new RingMemberEntry(g.Status.Address, g.Ownership))];
        var ring = new RingResponse(view.Ring?.Fingerprint, sharding.Replicas, sharding.Key.Name(), members);
        return WriteJsonAsync(http, 200, ring, AdminJson.Default.RingResponse);
    }

    private Task LookupAsync(HttpContext http)
    {
        (LookupResponse? found, int status, string? error) = _lookup.Find(http.Request.Query["path"]);
        return found is not null
            ? WriteJsonAsync(http, status, found, AdminJson.Default.LookupResponse)
            : WriteJsonAsync(http, status, new ErrorResponse(error!), AdminJson.Default.ErrorResponse);
    }

    private Task HistoryAsync(HttpContext http)
    {
        MembershipView membership = context.Membership();
        var history = new HistoryResponse(membership.Changes, [.. membership.History.Select(ChangeEntry.From)]);
        return WriteJsonAsync(http, 200, history, AdminJson.Default.HistoryResponse);
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));

    private static Task WriteTextAsync(HttpContext http, int status, string text) =>
        WriteAsync(http, status, Text, Encoding.UTF8.GetBytes(text));

    private static Task WriteJsonAsync<T>(HttpContext http, int status, T value, JsonTypeInfo<T> type) =>
        WriteAsync(http, status, "application/json; charset=utf-8", JsonSerializer.SerializeToUtf8Bytes(value, type));

    private static async Task WriteAsync(HttpContext http, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length;

        // Kestrel keeps the length and drops the bytes where a HEAD asked for them.
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
