using DynamicSharding.Admin.Page;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using DynamicSharding.Web;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>Routes the requests of the admin listener.</summary>
internal sealed class AdminHandler : IDisposable
{
    /// <summary>No endpoint reads a body, but some clients send a short one with a POST.</summary>
    public const int MaxBodyBytes = 1024;

    private const string Html = "text/html; charset=utf-8";
    private const string Json = "application/json; charset=utf-8";
    private const int MaxQueries = 16;

    /// <summary>Only fleets of thousands of gateways have pages so large that a few dozen slow readers exceed this.</summary>
    private const long MaxResponseBytes = 64 << 20;

    private readonly AdminContext _context;
    private readonly BasicAuth? _auth;
    private readonly ILogger _logger;
    private readonly Fleet _fleet;
    private readonly RecentActivity _recent;
    private readonly AdminRejectCounter _rejections = new();
    private readonly ResponseBudget _budget = new(MaxResponseBytes);

    /// <summary>Separate threads: neither Prometheus nor the status page ever waits for someone's queries.</summary>
    private readonly WebWorker _pages = new("admin pages", 16, rest: 3);
    private readonly WebWorker _queries = new("admin queries", MaxQueries, rest: 1);
    private readonly WebWorker _reloads = new("admin reloads", 1, rest: 1);

    /// <summary>However many requests ask for a reload, one runs and one waits: it reads whatever the file says by then.</summary>
    private readonly SharedWork<ReloadResult> _reload;
    private readonly Dictionary<string, Func<HttpContext, Task>> _endpoints;
    private int _queriesInProgress;

    public AdminHandler(AdminContext context, BasicAuth? auth, ConnectionPlaces places, ILogger logger, CancellationToken stopping)
    {
        _context = context;
        _auth = auth;
        _logger = logger;
        _fleet = new Fleet(context.Ring, context.Membership, context.Time);
        _recent = new RecentActivity(_fleet, context.Counters, context.Time);
        var lookup = new Lookup(context);
        var simulator = new RingSimulator(context);

        // Not a request's own token: a client that hangs up must not leave half a reload behind.
        _reload = new SharedWork<ReloadResult>(_reloads, () => context.Reload(stopping).GetAwaiter().GetResult());
        var metrics = new MetricsPage(context, _fleet, _rejections, () => places.Evicted);
        var page = new StatusPage(context, _fleet, _recent, lookup, simulator);
        Func<HttpContext, Task> sharedPage = Shared(Html, () => page.Render(QueryCollection.Empty));
        Func<HttpContext, Task> queriedPage = Query(Html, query => (200, page.Render(query)));
        Func<HttpContext, Task> targets = Shared(ServiceDiscovery.ContentType, new ServiceDiscovery(context, _fleet).Render);
        _endpoints = new(StringComparer.Ordinal)
        {
            ["/"] = http =>
            {
                http.Response.Headers.ContentSecurityPolicy = StatusPage.ContentSecurityPolicy;
                return http.Request.Query.Count == 0 ? sharedPage(http) : queriedPage(http);
            },
            ["/icon.svg"] = static http => AdminResponse.BytesAsync(http, 200, "image/svg+xml", PageAsset.Icon.Bytes),
            ["/metrics"] = Shared(MetricsPage.ContentType, metrics.Render),
            ["/-/healthy"] = static http => AdminResponse.TextAsync(http, 200, "OK\n"),
            ["/-/ready"] = ReadyAsync,
            ["/-/reload"] = ReloadAsync,
            ["/api/v1/status"] = Shared(Json, () => AdminResponse.Serialize(Status(), AdminJson.Default.StatusResponse)),
            ["/api/v1/ring"] = Shared(Json, () => AdminResponse.Serialize(Ring(), AdminJson.Default.RingResponse)),
            ["/api/v1/history"] = Shared(Json, () => AdminResponse.Serialize(History(), AdminJson.Default.HistoryResponse)),
            ["/api/v1/cleanup"] = Shared(Json, () => AdminResponse.Serialize(CleanupResponse.From(context.Cleanup(), context.Options().Cleanup), AdminJson.Default.CleanupResponse)),
            ["/api/v1/groups"] = new GroupsEndpoint(context).RespondAsync,
            ["/api/v1/sd"] = http => context.Membership().HasReport ? targets(http) : AdminResponse.TextAsync(http, 503, "discovery has not reported yet\n"),
            ["/api/v1/lookup"] = Query(
                Json, query => AdminResponse.Serialize(lookup.Find(query["path"], query["q"]), AdminJson.Default.LookupResponse)),
            ["/api/v1/simulate"] = Query(
                Json, query => AdminResponse.Serialize(simulator.Run(query["add"], query["remove"], query["keys"]), AdminJson.Default.SimulateResponse)),
        };
    }

    public async Task HandleAsync(HttpContext http)
    {
        AdminResponse.SetHeaders(http.Response.Headers);
        try
        {
            if (!HostCheck.Allows(http.Request, _context.Options().Admin.AllowedHosts)) await RejectAsync(http, AdminRejectReason.ForeignHost);
            else if (await AuthenticateAsync(http)) await RouteAsync(http);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client went away.
        }
        catch (Exception e)
        {
            _logger.AdminRequestFailed(e, http.Request.Path.Value ?? "");
            if (http.Response.HasStarted) http.Abort();
            else await AdminResponse.TextAsync(http, 500, "internal error, see the log\n");
        }
    }

    public void Dispose()
    {
        _pages.Dispose();
        _queries.Dispose();
        _reloads.Dispose();
        _recent.Dispose();
    }

    /// <summary>Health needs no credentials: load balancers and supervisors hold none, and the data listeners tell everyone the same.</summary>
    private async ValueTask<bool> AuthenticateAsync(HttpContext http)
    {
        if (_auth is null || http.Request.Path.Value is "/-/healthy" or "/-/ready") return true;
        if (await _auth.CheckAsync(http.Request.Headers.Authorization, http.RequestAborted) is not { } reason) return true;
        await RejectAsync(http, reason);
        return false;
    }

    private Task RejectAsync(HttpContext http, AdminRejectReason reason)
    {
        _rejections.Count(reason);
        if (reason == AdminRejectReason.CrossOrigin) _logger.CrossOriginRejected(http.Request.Headers.Origin);
        else _logger.AdminRequestRejected(AdminRejectCounter.Labels[(int)reason].Label, http.Connection.RemoteIpAddress);
        if (reason == AdminRejectReason.Unauthorized) http.Response.Headers.WWWAuthenticate = BasicAuth.Challenge;
        return reason switch
        {
            AdminRejectReason.Busy => AdminResponse.BusyAsync(http, "too many password checks in progress\n"),
            AdminRejectReason.Unauthorized => AdminResponse.TextAsync(http, 401, "user name and password required\n"),
            AdminRejectReason.CrossOrigin => AdminResponse.TextAsync(http, 403, "cross-origin request rejected\n"),
            AdminRejectReason.NotLocal => AdminResponse.TextAsync(
                http, 403, "reload rejected: the request is not from this machine; set admin.enable_lifecycle to true, or admin.basic_auth_users\n"),
            _ => AdminResponse.TextAsync(
                http, 403, "rejected: the Host of this request is not a name of this server; add it to admin.allowed_hosts\n"),
        };
    }

    private Task RouteAsync(HttpContext http)
    {
        // Not endpoint routing: paths are case-sensitive here, as on the data listeners.
        string path = http.Request.Path.Value ?? "";
        string method = http.Request.Method;
        if (http.Request.ContentLength > MaxBodyBytes) return AdminResponse.TextAsync(http, 413, "request body too large\n");
        if (!_endpoints.TryGetValue(path, out Func<HttpContext, Task>? endpoint)) return AdminResponse.TextAsync(http, 404, "not found\n");
        (bool isAllowed, string allow) = path == "/-/reload"
            ? (HttpMethods.IsPost(method) || HttpMethods.IsPut(method), "POST, PUT")
            : (HttpMethods.IsGet(method) || HttpMethods.IsHead(method), "GET, HEAD");
        if (isAllowed) return endpoint(http);
        http.Response.Headers.Allow = allow;
        return AdminResponse.TextAsync(http, 405, "method not allowed\n");
    }

    private Task ReadyAsync(HttpContext http)
    {
        Readiness readiness = _context.Readiness;
        return readiness.IsReady ? AdminResponse.TextAsync(http, 200, "OK\n") : AdminResponse.TextAsync(http, 503, readiness.Reason + "\n");
    }

    private async Task ReloadAsync(HttpContext http)
    {
        bool isOpen = _auth is not null || _context.Options().Admin.EnableLifecycle || LocalCheck.Allows(http.Request);
        if (!isOpen || !OriginCheck.Allows(http.Request))
        {
            await RejectAsync(http, isOpen ? AdminRejectReason.CrossOrigin : AdminRejectReason.NotLocal);
            return;
        }

        if (_reload.TryGet() is not { } reload)
        {
            await AdminResponse.BusyAsync(http, "too many reloads in progress\n");
            return;
        }

        ReloadResult result = await reload;
        if (result.Applied) await AdminResponse.TextAsync(http, 200, "OK\n" + Lines(result.NeedRestart.Select(key => $"needs a restart: {key}")));
        else await AdminResponse.TextAsync(http, 400, Lines(result.Errors));

        static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));
    }

    private StatusResponse Status()
    {
        FleetView view = _fleet.Snapshot();
        ServerOptions options = _context.Options();
        MembershipView membership = view.Membership;
        Readiness readiness = _context.Readiness;
        DateTimeOffset now = _context.Time.GetUtcNow();
        (double requests, IReadOnlyDictionary<string, double> redirects) = _recent.PerSecond(view);
        return new StatusResponse(
            _context.Build.Version,
            _context.Build.Revision,
            _context.Started,
            _context.Time.GetElapsedTime(_context.StartedTimestamp).TotalSeconds,
            readiness.IsReady,
            readiness.Reason,
            view.Ring?.Fingerprint,
            options.Sharding.Replicas,
            options.Sharding.Key.Name(),
            options.HttpPathPrefix,
            options.Pushgateway.Scheme,
            options.Pushgateway.PathPrefix,
            DiscoveryEntry.From(membership.Discovery, now),
            [.. view.Gateways.Select(g => MemberEntry.From(g, redirects.GetValueOrDefault(g.Status.Address)))],
            options.Pushgateway.Servers,
            ConfigFileEntry.From(_context.ConfigFile()),
            membership.Changes,
            membership.History is [var last, ..] ? ChangeEntry.From(last) : null,
            requests,
            Warnings.Of(_context, view, _recent, now));
    }

    private RingResponse Ring()
    {
        FleetView view = _fleet.Snapshot();
        ShardingOptions sharding = _context.Options().Sharding;
        return new RingResponse(
            view.Ring?.Fingerprint,
            sharding.Replicas,
            sharding.Key.Name(),
            [.. view.Gateways.Where(g => g.InRing).Select(g => new RingMemberEntry(g.Status.Address, g.Weight, g.Ownership))]);
    }

    private HistoryResponse History()
    {
        MembershipView membership = _context.Membership();
        return new HistoryResponse(membership.Changes, [.. membership.History.Select(ChangeEntry.From)]);
    }

    /// <summary>An endpoint whose response is the same for everyone.</summary>
    private Func<HttpContext, Task> Shared(string contentType, Func<ReadOnlyMemory<byte>> render)
    {
        var shared = new SharedWork<ReadOnlyMemory<byte>>(_pages, render);
        return async http =>
        {
            if (shared.TryGet() is not { } body) await AdminResponse.BusyAsync(http);
            else await WriteAsync(http, 200, contentType, await body.WaitAsync(http.RequestAborted));
        };
    }

    /// <summary>An endpoint that computes a response for each query. Only a few of these are computed or being read at a time.</summary>
    private Func<HttpContext, Task> Query(string contentType, Func<IQueryCollection, (int Status, ReadOnlyMemory<byte> Body)> compute) => async http =>
    {
        try
        {
            if (Interlocked.Increment(ref _queriesInProgress) > MaxQueries || _queries.TryRun(() => compute(http.Request.Query)) is not { } result)
            {
                await AdminResponse.BusyAsync(http);
                return;
            }

            (int status, ReadOnlyMemory<byte> body) = await result;
            await WriteAsync(http, status, contentType, body);
        }
        finally
        {
            Interlocked.Decrement(ref _queriesInProgress);
        }
    };

    private async Task WriteAsync(HttpContext http, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        if (!_budget.TryHold(body))
        {
            await AdminResponse.BusyAsync(http);
            return;
        }

        try
        {
            await AdminResponse.BytesAsync(http, status, contentType, body);
        }
        finally
        {
            _budget.Release(body);
        }
    }
}
