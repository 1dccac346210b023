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
    StatusPage page,
    TrafficRates rates,
    LastHour lastHour,
    WhatIf whatIf,
    BasicAuth? auth,
    RefusalCounter refusals,
    ILogger logger,
    CancellationToken stopping)
{
    /// <summary>Nothing here reads a body; a little is allowed because some clients send one with a POST.</summary>
    public const int MaxBodyBytes = 1024;

    private readonly Lookup _lookup = new(context);

    public async Task HandleAsync(HttpContext http)
    {
        AdminReply.SetHeaders(http.Response.Headers);
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
            else await AdminReply.TextAsync(http, 500, "internal error, see the log\n");
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
        if (refusal == AdminRefusal.Busy)
        {
            http.Response.Headers.RetryAfter = "1";
            await AdminReply.TextAsync(http, 503, "too many passwords are being checked\n");
        }
        else
        {
            http.Response.Headers.WWWAuthenticate = BasicAuth.Challenge;
            await AdminReply.TextAsync(http, 401, "a user name and password are needed\n");
        }

        return false;
    }

    private Task RouteAsync(HttpContext http)
    {
        // Ordinal, unlike endpoint routing: paths are case-sensitive here as on the data listener.
        string path = http.Request.Path.Value ?? "";
        if (http.Request.ContentLength > MaxBodyBytes) return AdminReply.TextAsync(http, 413, "no body is expected here\n");
        if (path == "/-/reload") return AllowsWrite(http) ? ReloadAsync(http) : RefuseMethodAsync(http, "POST, PUT");
        Func<HttpContext, Task>? read = path switch
        {
            "/" => PageAsync,
            "/icon.svg" => static http => AdminReply.BytesAsync(http, 200, "image/svg+xml", PageAsset.Icon.Bytes),
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
        if (read is null) return AdminReply.TextAsync(http, 404, "not found\n");
        return HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method)
            ? read(http)
            : RefuseMethodAsync(http, "GET, HEAD");
    }

    private static bool AllowsWrite(HttpContext http) => HttpMethods.IsPost(http.Request.Method) || HttpMethods.IsPut(http.Request.Method);

    private static Task RefuseMethodAsync(HttpContext http, string allow)
    {
        http.Response.Headers.Allow = allow;
        return AdminReply.TextAsync(http, 405, "method not allowed\n");
    }

    private Task PageAsync(HttpContext http)
    {
        byte[] html = page.Render(http.Request.Query);
        http.Response.Headers.ContentSecurityPolicy = StatusPage.ContentSecurityPolicy;
        return AdminReply.BytesAsync(http, 200, "text/html; charset=utf-8", html);
    }

    private async Task MetricsAsync(HttpContext http) =>
        await AdminReply.BytesAsync(http, 200, MetricsPage.ContentType, await metrics.RenderAsync(http.RequestAborted));

    private static Task HealthyAsync(HttpContext http) => AdminReply.TextAsync(http, 200, "OK\n");

    private Task ReadyAsync(HttpContext http)
    {
        Readiness readiness = context.Readiness;
        return AdminReply.TextAsync(http, readiness.IsReady ? 200 : 503, readiness.IsReady ? "OK\n" : readiness.Reason + "\n");
    }

    private async Task ReloadAsync(HttpContext http)
    {
        if (!OriginCheck.Allows(http.Request))
        {
            refusals.Count(AdminRefusal.CrossOrigin);
            logger.AdminCrossOriginRefused(http.Request.Headers.Origin);
            await AdminReply.TextAsync(http, 403, "sent by a page of another origin\n");
            return;
        }

        // Not the request's own token: a client that hangs up must not leave half a reload behind.
        ReloadResult result = await context.Reload(stopping);
        string body = result.Applied
            ? "OK\n" + Lines(result.NeedRestart.Select(key => $"needs a restart: {key}"))
            : Lines(result.Errors);
        await AdminReply.TextAsync(http, result.Applied ? 200 : 400, body);
    }

    private Task StatusAsync(HttpContext http) => AdminReply.JsonAsync(http, 200, Status(), AdminJson.Default.StatusResponse);

    private StatusResponse Status()
    {
        FleetView view = fleet.Look();
        ServerOptions options = context.Options();
        MembershipView membership = view.Membership;
        Readiness readiness = context.Readiness;
        DateTimeOffset now = context.Time.GetUtcNow();
        (double requests, IReadOnlyDictionary<string, double> redirects) = rates.Look(view);
        return new StatusResponse(
            context.Build.Version,
            context.Build.Revision,
            context.Started,
            context.Time.GetElapsedTime(context.StartedTimestamp).TotalSeconds,
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
            Warnings.Of(context, view, lastHour, now));
    }

    private Task RingAsync(HttpContext http)
    {
        FleetView view = fleet.Look();
        ShardingOptions sharding = context.Options().Sharding;
        RingMemberEntry[] members =
            [.. view.Gateways.Where(g => g.InRing).Select(g => new RingMemberEntry(g.Status.Address, g.Ownership))];
        var ring = new RingResponse(view.Ring?.Fingerprint, sharding.Replicas, sharding.Key.Name(), members);
        return AdminReply.JsonAsync(http, 200, ring, AdminJson.Default.RingResponse);
    }

    private Task LookupAsync(HttpContext http) =>
        AdminReply.AnswerAsync(http, _lookup.Find(http.Request.Query["path"], http.Request.Query["q"]), AdminJson.Default.LookupResponse);

    private Task SimulateAsync(HttpContext http) =>
        AdminReply.AnswerAsync(http, whatIf.Run(http.Request.Query["add"], http.Request.Query["remove"]), AdminJson.Default.SimulateResponse);

    private Task HistoryAsync(HttpContext http)
    {
        MembershipView membership = context.Membership();
        var history = new HistoryResponse(membership.Changes, [.. membership.History.Select(ChangeEntry.From)]);
        return AdminReply.JsonAsync(http, 200, history, AdminJson.Default.HistoryResponse);
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));
}
