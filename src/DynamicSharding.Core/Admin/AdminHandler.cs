using System.Text.Json;
using DynamicSharding.Admin.Page;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using DynamicSharding.Web;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>One method for each address of the admin listener.</summary>
internal sealed class AdminHandler(
    AdminContext context,
    Fleet fleet,
    MetricsPage metrics,
    StatusPage page,
    TrafficRates rates,
    LastHourCounts lastHour,
    RingSimulator whatIf,
    BasicAuth? auth,
    AdminRejectCounter refusals,
    ILogger logger,
    CancellationToken stopping) : IDisposable
{
    private const string Json = "application/json; charset=utf-8";
    private const string Busy = "too many others ask\n";

    /// <summary>Nothing here reads a body; a little is allowed because some clients send one with a POST.</summary>
    public const int MaxBodyBytes = 1024;

    /// <summary>What answers a question of somebody's own: it is in memory until the client has read it.</summary>
    private const int MaxQuestions = 16;

    private readonly Lookup _lookup = new(context);

    /// <summary>Prometheus and operators never wait for the questions of others.</summary>
    private readonly WebWorker _pages = new("admin pages", 16, rest: 3);
    private readonly WebWorker _questions = new("admin questions", MaxQuestions, rest: 1);
    private readonly WebWorker _reloads = new("admin reloads", 4, rest: 1);
    private int _asking;
    private SharedBody? _page, _metrics, _status, _ring, _history;

    public async Task HandleAsync(HttpContext http)
    {
        AdminResponse.SetHeaders(http.Response.Headers);
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
            else await AdminResponse.TextAsync(http, 500, "internal error, see the log\n");
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
        string reason = AdminRejectCounter.Labels[(int)refusal].Label;
        logger.AdminRequestRejected(reason, http.Connection.RemoteIpAddress);
        if (refusal == AdminRejectReason.Busy)
        {
            await AdminResponse.BusyAsync(http, "too many passwords are being checked\n");
        }
        else
        {
            http.Response.Headers.WWWAuthenticate = BasicAuth.Challenge;
            await AdminResponse.TextAsync(http, 401, "a user name and password are needed\n");
        }

        return false;
    }

    private Task RouteAsync(HttpContext http)
    {
        // Ordinal, unlike endpoint routing: paths are case-sensitive here as on the data listener.
        string path = http.Request.Path.Value ?? "";
        if (http.Request.ContentLength > MaxBodyBytes) return AdminResponse.TextAsync(http, 413, "no body is expected here\n");
        if (path == "/-/reload") return AllowsWrite(http) ? ReloadAsync(http) : RejectMethodAsync(http, "POST, PUT");
        Func<HttpContext, Task>? read = path switch
        {
            "/" => PageAsync,
            "/icon.svg" => static http => AdminResponse.BytesAsync(http, 200, "image/svg+xml", PageAsset.Icon.Bytes),
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
        if (read is null) return AdminResponse.TextAsync(http, 404, "not found\n");
        return HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method)
            ? read(http)
            : RejectMethodAsync(http, "GET, HEAD");
    }

    private static bool AllowsWrite(HttpContext http) => HttpMethods.IsPost(http.Request.Method) || HttpMethods.IsPut(http.Request.Method);

    private static Task RejectMethodAsync(HttpContext http, string allow)
    {
        http.Response.Headers.Allow = allow;
        return AdminResponse.TextAsync(http, 405, "method not allowed\n");
    }

    private Task PageAsync(HttpContext http)
    {
        const string Html = "text/html; charset=utf-8";
        http.Response.Headers.ContentSecurityPolicy = StatusPage.ContentSecurityPolicy;
        IQueryCollection query = http.Request.Query;
        return query.Count == 0
            ? ShareAsync(http, Html, Shared(ref _page, () => page.Render(query)))
            : AskAsync(http, Html, () => (200, page.Render(query)));
    }

    private Task MetricsAsync(HttpContext http) => ShareAsync(http, MetricsPage.ContentType, Shared(ref _metrics, metrics.Render));

    private static Task HealthyAsync(HttpContext http) => AdminResponse.TextAsync(http, 200, "OK\n");

    private Task ReadyAsync(HttpContext http)
    {
        Readiness readiness = context.Readiness;
        return AdminResponse.TextAsync(http, readiness.IsReady ? 200 : 503, readiness.IsReady ? "OK\n" : readiness.Reason + "\n");
    }

    private async Task ReloadAsync(HttpContext http)
    {
        if (!OriginCheck.Allows(http.Request))
        {
            refusals.Count(AdminRejectReason.CrossOrigin);
            logger.CrossOriginRejected(http.Request.Headers.Origin);
            await AdminResponse.TextAsync(http, 403, "sent by a page of another origin\n");
            return;
        }

        // Not the request's own token: a client that hangs up must not leave half a reload behind.
        if (_reloads.TryRun(() => context.Reload(stopping).GetAwaiter().GetResult()) is not { } reload)
        {
            await AdminResponse.BusyAsync(http, "other reloads are waiting\n");
            return;
        }

        ReloadResult result = await reload;
        string body = result.Applied
            ? "OK\n" + Lines(result.NeedRestart.Select(key => $"needs a restart: {key}"))
            : Lines(result.Errors);
        await AdminResponse.TextAsync(http, result.Applied ? 200 : 400, body);
    }

    private Task StatusAsync(HttpContext http) =>
        ShareAsync(http, Json, Shared(ref _status, () => JsonSerializer.SerializeToUtf8Bytes(Status(), AdminJson.Default.StatusResponse)));

    private StatusResponse Status()
    {
        FleetView view = fleet.Snapshot();
        ServerOptions options = context.Options();
        MembershipView membership = view.Membership;
        Readiness readiness = context.Readiness;
        DateTimeOffset now = context.Time.GetUtcNow();
        (double requests, IReadOnlyDictionary<string, double> redirects) = rates.Snapshot(view);
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

    private Task RingAsync(HttpContext http) =>
        ShareAsync(http, Json, Shared(ref _ring, () => JsonSerializer.SerializeToUtf8Bytes(Ring(), AdminJson.Default.RingResponse)));

    private RingResponse Ring()
    {
        FleetView view = fleet.Snapshot();
        ShardingOptions sharding = context.Options().Sharding;
        RingMemberEntry[] members =
            [.. view.Gateways.Where(g => g.InRing).Select(g => new RingMemberEntry(g.Status.Address, g.Ownership))];
        return new RingResponse(view.Ring?.Fingerprint, sharding.Replicas, sharding.Key.Name(), members);
    }

    private Task LookupAsync(HttpContext http) =>
        AskAsync(http, Json, () => AdminResponse.Serialize(
            _lookup.Find(http.Request.Query["path"], http.Request.Query["q"]), AdminJson.Default.LookupResponse));

    private Task SimulateAsync(HttpContext http) =>
        AskAsync(http, Json, () => AdminResponse.Serialize(
            whatIf.Run(http.Request.Query["add"], http.Request.Query["remove"]), AdminJson.Default.SimulateResponse));

    private Task HistoryAsync(HttpContext http) =>
        ShareAsync(http, Json, Shared(ref _history, () => JsonSerializer.SerializeToUtf8Bytes(History(), AdminJson.Default.HistoryResponse)));

    private HistoryResponse History()
    {
        MembershipView membership = context.Membership();
        return new HistoryResponse(membership.Changes, [.. membership.History.Select(ChangeEntry.From)]);
    }

    private SharedBody Shared(ref SharedBody? body, Func<ReadOnlyMemory<byte>> make) =>
        Volatile.Read(ref body) ?? Interlocked.CompareExchange(ref body, new SharedBody(_pages, make), null) ?? body;

    private static async Task ShareAsync(HttpContext http, string contentType, SharedBody shared)
    {
        if (shared.TryGet() is not { } body) await AdminResponse.BusyAsync(http, Busy);
        else await AdminResponse.BytesAsync(http, 200, contentType, await body.WaitAsync(http.RequestAborted));
    }

    /// <summary>A question keeps its place until its client has the response: what waits to be read is bounded, too.</summary>
    private async Task AskAsync(HttpContext http, string contentType, Func<(int Status, byte[] Body)> find)
    {
        try
        {
            if (Interlocked.Increment(ref _asking) > MaxQuestions || _questions.TryRun(find) is not { } found)
            {
                await AdminResponse.BusyAsync(http, Busy);
                return;
            }

            (int status, byte[] body) = await found;
            await AdminResponse.BytesAsync(http, status, contentType, body);
        }
        finally
        {
            Interlocked.Decrement(ref _asking);
        }
    }

    public void Dispose()
    {
        _pages.Dispose();
        _questions.Dispose();
        _reloads.Dispose();
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));
}

/// <summary>
/// Keeps a page that an operator happens to have open from posting here. Browsers say how the page relates to where it posts (Fetch
/// Metadata), and no script can say it for them. They see both from outside, which this listener cannot behind a proxy that ends TLS or
/// changes the Host. Those that do not say it (old ones, and all over plain HTTP but for loopback) name the page's origin on every POST
/// (Fetch, 3.1), and it must be this listener's own. Programs that send neither are no browsers and pass.
/// </summary>
internal static class OriginCheck
{
    public static bool Allows(HttpRequest request)
    {
        StringValues site = request.Headers["Sec-Fetch-Site"];
        if (site is ["same-origin"]) return true;
        if (site.Count > 0 && site is not ["none"]) return false;
        StringValues origin = request.Headers.Origin;
        if (origin.Count == 0) return true;
        return origin.Count == 1
            && string.Equals(origin[0], $"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase);
    }
}
