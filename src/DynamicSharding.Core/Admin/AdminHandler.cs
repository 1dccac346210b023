using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DynamicSharding.Admin.Access;
using DynamicSharding.Admin.Api;
using DynamicSharding.Admin.Page;
using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>One method for each address of the admin listener.</summary>
internal sealed class AdminHandler(
    AdminContext context,
    Fleet fleet,
    MetricsPage metrics,
    TrafficRates rates,
    BasicAuth? auth,
    RefusalCounter refusals,
    ILogger logger,
    CancellationToken stopping)
{
    /// <summary>Nothing here reads a body; a little is allowed because some clients send one with a POST.</summary>
    public const int MaxBodyBytes = 1024;

    private const string Text = "text/plain; charset=utf-8";
    private readonly Lookup _lookup = new(context);
    private readonly WhatIf _whatIf = new(context);
    private readonly StatusPage _page = new(context, fleet, rates);

    public async Task HandleAsync(HttpContext http)
    {
        IHeaderDictionary headers = http.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.CacheControl = "no-store";
        headers.ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'";
        headers.XFrameOptions = "DENY";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";

        // Not no-referrer: that would also take the Origin from the page's own POST (Fetch, 3.1).
        headers["Referrer-Policy"] = "same-origin";
        try
        {
            if (await AdmitsAsync(http)) await RouteAsync(http);
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

    /// <summary>
    /// Without credentials only what the data listener tells everybody too: balancers and supervisors ask for it and hold no password.
    /// </summary>
    private async ValueTask<bool> AdmitsAsync(HttpContext http)
    {
        if (auth is null || http.Request.Path.Value is "/-/healthy" or "/-/ready") return true;
        if (await auth.CheckAsync(http.Request.Headers.Authorization, http.RequestAborted) is not { } refusal) return true;
        refusals.Count(refusal);
        string reason = RefusalCounter.Label(refusal);
        logger.AdminRequestRefused(reason, http.Connection.RemoteIpAddress);
        if (refusal == Refusal.Busy)
        {
            http.Response.Headers.RetryAfter = "1";
            await WriteTextAsync(http, 503, "too many passwords are being checked\n");
        }
        else
        {
            http.Response.Headers.WWWAuthenticate = BasicAuth.Challenge;
            await WriteTextAsync(http, 401, "a user name and password are needed\n");
        }

        return false;
    }

    private Task RouteAsync(HttpContext http)
    {
        // Ordinal, unlike endpoint routing: paths are case-sensitive here as on the data listener.
        string path = http.Request.Path.Value ?? "";
        if (http.Request.ContentLength > MaxBodyBytes) return WriteTextAsync(http, 413, "no body is expected here\n");
        if (path == "/-/reload") return AllowsWrite(http) ? ReloadAsync(http) : RefuseMethodAsync(http, "POST, PUT");
        Func<HttpContext, Task>? read = path switch
        {
            "/" => PageAsync,
            "/icon.svg" => static http => WriteAsync(http, 200, "image/svg+xml", PageAsset.Icon.Bytes),
            "/metrics" => MetricsAsync,
            "/-/healthy" => HealthyAsync,
            "/-/ready" => ReadyAsync,
            "/api/v1/status" => StatusAsync,
            "/api/v1/ring" => RingAsync,
            "/api/v1/lookup" => LookupAsync,
            "/api/v1/simulate" => SimulateAsync,
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

    private Task PageAsync(HttpContext http)
    {
        byte[] page = _page.Render(http.Request.Query);
        http.Response.Headers.ContentSecurityPolicy = StatusPage.ContentSecurityPolicy;
        return WriteAsync(http, 200, "text/html; charset=utf-8", page);
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
        DateTimeOffset now = context.Time.GetUtcNow();
        (double requests, IReadOnlyDictionary<string, double> redirects) = rates.Look(view);
        var status = new StatusResponse(
            context.Build.Version,
            context.Build.Revision,
            context.Started,
            (now - context.Started).TotalSeconds,
            readiness.IsReady,
            readiness.Reason,
            view.Ring?.Fingerprint,
            options.Sharding.Replicas,
            options.Sharding.Key.Name(),
            DiscoveryEntry.From(membership.Discovery, now),
            [.. view.Gateways.Select(g => MemberEntry.From(g, redirects.GetValueOrDefault(g.Status.Address)))],
            options.Pushgateway.Servers,
            membership.Changes,
            membership.History is [var last, ..] ? ChangeEntry.From(last) : null,
            requests,
            Warnings.Of(context, view, now));
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

    private Task LookupAsync(HttpContext http) =>
        WriteAnswerAsync(http, _lookup.Find(http.Request.Query["path"], http.Request.Query["q"]), AdminJson.Default.LookupResponse);

    private Task SimulateAsync(HttpContext http) =>
        WriteAnswerAsync(http, _whatIf.Run(http.Request.Query["add"], http.Request.Query["remove"]), AdminJson.Default.SimulateResponse);

    private static Task WriteAnswerAsync<T>(HttpContext http, Answer<T> answer, JsonTypeInfo<T> type)
        where T : class => answer.Found is { } found
        ? WriteJsonAsync(http, answer.Status, found, type)
        : WriteJsonAsync(http, answer.Status, new ErrorResponse(answer.Error!), AdminJson.Default.ErrorResponse);

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
