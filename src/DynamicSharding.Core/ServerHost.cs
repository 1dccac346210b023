using System.Net;
using DynamicSharding.Admin;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Outbound;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using DynamicSharding.Web;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>The parts list: the only place where objects are joined. Starts them in order of dependency, and stops them in four steps.</summary>
internal sealed class ServerHost : IAsyncDisposable
{
    /// <summary>They take a 307 for success; docs/compatibility.md shows what each client makes of it.</summary>
    internal const string ClientsThatIgnoreRedirects = "Node prom-client, C++ prometheus-cpp, curl without -L";

    private readonly ActiveRing _ring = new();
    private readonly Readiness _readiness = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Action<LogLevelName> _setLogLevel;
    private readonly MembershipService _membership;
    private readonly CleanupService _cleanup;
    private readonly DataServer _data;
    private readonly AdminListener? _admin;
    private readonly ForwardPlane? _forward;
    private readonly ServerCertificate? _certificate;
    private readonly GatewayTls? _gatewayTls;
    private PushAuth? _users;
    private Task _readinessWatch = Task.CompletedTask;

    /// <summary>Binds the data listeners; nothing runs yet.</summary>
    /// <param name="options">The configuration to start with.</param>
    /// <param name="load">Reads the configuration for a reload, with the command line's flags applied.</param>
    /// <param name="setLogLevel">Applies the log level of a reload.</param>
    /// <param name="loggers">Where every room logs.</param>
    /// <param name="time">The one clock.</param>
    /// <param name="file">The configuration file, if there is one to watch for edits.</param>
    /// <exception cref="IOException">An address cannot be bound; the message says which.</exception>
    public ServerHost(
        ServerOptions options, Func<ConfigResult> load, Action<LogLevelName> setLogLevel, ILoggerFactory loggers, TimeProvider time, LoadedFile? file = null)
    {
        _logger = loggers.CreateLogger<ServerHost>();
        _time = time;
        _setLogLevel = setLogLevel;
        Reloader = new Reloader(options, load, Apply, _logger, time);

        int loops = Environment.ProcessorCount;
        var counters = new DataPlaneCounters(loops);
        var gateways = new GatewayRegistry(loops, options.Pushgateway.Scheme, options.Pushgateway.PathPrefix);
        GatewayNames names = GatewayNames.For(options, time);
        _gatewayTls = GatewayTls.For(options.Pushgateway, _logger, time);
        _gatewayTls?.StartRefreshing();
        _membership = new MembershipService(options, _ring, gateways, names, loggers, time, _gatewayTls);
        _cleanup = new CleanupService(options, $"{Environment.MachineName}{options.AdminListenAddr}", _ring, _membership, names, loggers, time, _gatewayTls);
        List<DataAddress> addresses = [];
        if (options.HttpListenAddr is { } http) addresses.Add(new(DataAddresses.Data, "http_listen_addr", http, DataServer.NewRedirectSession));
        ForwardCounters? forwardCounters = null;
        if (options.Forwards)
        {
            forwardCounters = new ForwardCounters(loops);
            _forward = new ForwardPlane(options, _ring, forwardCounters, MaxUpstreams(options.Limits), names.Resolver, loggers, time, _gatewayTls);
            if (options.ForwardListenAddr is { } forward) addresses.Add(new(DataAddresses.Forward, "forward_listen_addr", forward, _forward.NewSession));
        }

        if (options.HttpsListenAddr is not null || options.ForwardHttpsListenAddr is not null)
        {
            _certificate = new ServerCertificate("data listeners", "tls.cert_file", options.Tls, _logger, time);
            _certificate.StartRefreshing();
            _ = TlsMemory.ReleasesIdleBuffers;
            if (options.HttpsListenAddr is { } https)
                addresses.Add(new(DataAddresses.Https, "https_listen_addr", https, DataServer.NewRedirectSession, () => _certificate.Latest));
            if (options.ForwardHttpsListenAddr is { } forwardHttps)
                addresses.Add(new(DataAddresses.ForwardHttps, "forward_https_listen_addr", forwardHttps, _forward!.NewSession, () => _certificate.Latest));
        }

        if (!options.BasicAuthUsers.IsEmpty) _users = new PushAuth(options.BasicAuthUsers, time);
        _data = new DataServer(options, addresses, _ring, _readiness, counters, Authorize, loggers, time, NotesOf(options));

        if (options.AdminListenAddr is null) return;
        _admin = new AdminListener(new AdminContext
        {
            Options = () => Reloader.Options,
            Ring = _ring,
            Membership = () => _membership.View,
            Cleanup = () => _cleanup.View,
            Groups = new GroupSource(_cleanup.Client, () => _cleanup.Targets),
            Counters = counters,
            Forward = forwardCounters,
            Certificates = _certificate is null ? [] : [_certificate],
            GatewayTls = _gatewayTls,
            Readiness = _readiness,
            Reload = Reloader.ReloadAsync,
            ReloadStatus = () => Reloader.Status,
            ConfigFile = () => file?.Status() ?? ConfigFileStatus.Unknown,
            GroupingKey = () => new GroupingKey(Reloader.Options.Sharding.Key, Reloader.Options.Limits.RequestLine),
            Build = BuildInfo.Current,
            Started = time.GetUtcNow(),
            StartedTimestamp = time.GetTimestamp(),
            Time = time,
            LoggerFactory = loggers,
        });
    }

    public Reloader Reloader { get; }

    /// <summary>The bound address of the redirect listener, with the port that the system chose for port 0.</summary>
    public IPEndPoint DataEndPoint => _data.EndPoint;

    /// <summary>Every data listener's key, its configured and its bound address.</summary>
    public IEnumerable<(string Key, ListenAddress Configured, IPEndPoint Bound)> DataEndPoints => _data.Addresses;

    /// <summary>Completes when the listening socket is dead: the process has to end.</summary>
    public Task Failed => _data.ListenerDead;

    /// <summary>How long a stop may take under the configuration in force.</summary>
    public TimeSpan StopTime => Reloader.Options.Shutdown.DrainDelay + Reloader.Options.Shutdown.Timeout;

    /// <summary>One line for the service manager.</summary>
    public string StatusLine
    {
        get
        {
            string ready = _readiness.IsReady ? "ready" : $"not ready: {_readiness.Reason}";
            string ring = _ring.Current is { } current ? $"members {current.Members.Length}, ring {current.Fingerprint}" : "members 0";
            string reload = Reloader.Status.LastSuccessful ? "" : "; the last reload failed, the configuration before it is in force";
            return $"{ready}; {ring}{reload}";
        }
    }

    /// <returns>Null when the data plane responds before the cancellation; otherwise what does not respond.</returns>
    public Task<string?> ProbeAsync(CancellationToken cancellation) => _data.ProbeAsync(cancellation);

    /// <summary>Gives the data plane's threads precedence over all others; after <see cref="StartAsync"/>.</summary>
    public void RaiseLoopPriority() => _data.RaiseLoopPriority();

    public async Task StartAsync()
    {
        // The configured gateways are the ring before the first connection is accepted.
        _membership.Start();
        if (_admin is not null) await _admin.StartAsync();
        _data.Start();
        _cleanup.Start();

        // Logged here and not with every reload: changing the address takes a restart.
        if (_forward is null) _logger.NoForwardListener(ClientsThatIgnoreRedirects);
        _readinessWatch = new ReadinessWatch(_readiness, _ring, _membership, _logger, _time).RunAsync(_stopping.Token).LogFailure(_logger, "readiness");
    }

    /// <summary>
    /// Reports not ready but still responds; then stops accepting; then waits for what is in flight; then aborts the rest. It does not wait for
    /// a reload that is reading its file, only for one that is being applied.
    /// </summary>
    public async Task StopAsync()
    {
        Reloader.Close();
        ShutdownOptions shutdown = Reloader.Options.Shutdown;
        await StopReadinessWatchAsync();

        // Beside the drain: a Consul that does not respond, and so keeps the lease from being released, must not delay it.
        Task cleanup = _cleanup.StopAsync();

        // Draining comes before the 503: a client that has seen the 503 gets no response that keeps its connection.
        _data.Drain();
        _readiness.SetObstacle("shutting down");
        _logger.Draining(shutdown.DrainDelay, _data.OpenConnections);
        await Task.Delay(shutdown.DrainDelay, _time);
        await _data.StopAsync(shutdown.Timeout);
        await cleanup;
        await _membership.StopAsync();
        if (_admin is not null) await _admin.StopAsync(new CancellationToken(canceled: true));
        _logger.Stopped();
    }

    public async ValueTask DisposeAsync()
    {
        Reloader.Close();
        await StopReadinessWatchAsync();
        await _cleanup.DisposeAsync();
        await _membership.DisposeAsync();
        if (_admin is not null) await _admin.DisposeAsync();
        _data.Dispose();
        _forward?.Dispose();
        _certificate?.Dispose();
        _gatewayTls?.Dispose();
        _users?.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Whether DELETEs are noted: only when they are carried out.</summary>
    private DeleteNotes? NotesOf(ServerOptions options) => options.Cleanup.Enabled
        ? new DeleteNotes(_cleanup.Deletes.Mailboxes, GatewaysAreOpen: options.Pushgateway.BasicAuthUsername is null && options.Pushgateway.Tls.CertFile is null)
        : null;

    private CheckCredentials? Authorize => _users is null ? null : _users.Check;

    private static int MaxUpstreams(LimitOptions limits) => DescriptorBudget.Of(OpenFileLimit.Current, limits, forwards: true).Upstreams;

    private void Apply(ServerOptions running, ServerOptions options)
    {
        _setLogLevel(options.Log.Level);
        bool hadUsers = _users is not null;
        PushAuth? unused = ApplyUsers(running, options);
        bool changesLoops = options.Limits != running.Limits || _users is not null != hadUsers || options.Cleanup.Enabled != running.Cleanup.Enabled;
        if (changesLoops) _data.Apply(options.Limits, Authorize, NotesOf(options));
        unused?.Dispose();
        _data.RejectedSample = options.Log.RejectedSample;
        _certificate?.Refresh();
        _gatewayTls?.Refresh();
        _forward?.Apply(options, MaxUpstreams(options.Limits));
        _admin?.Apply(options.Limits);
        _membership.Apply(options);
        _cleanup.Apply(options);
    }

    /// <summary>Those who are removed are refused from here on; the loops hear later whether there are users at all.</summary>
    /// <returns>What is no longer needed once the loops know.</returns>
    private PushAuth? ApplyUsers(ServerOptions running, ServerOptions options)
    {
        if (options.BasicAuthUsers.SequenceEqual(running.BasicAuthUsers)) return null;
        PushAuth? before = _users;
        _users = options.BasicAuthUsers.IsEmpty ? null : before ?? new PushAuth(options.BasicAuthUsers, _time);
        if (_users is null) return before;
        _users.Apply(options.BasicAuthUsers);
        return null;
    }

    private async Task StopReadinessWatchAsync()
    {
        await _stopping.CancelAsync();
        await _readinessWatch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
