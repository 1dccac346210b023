using System.Collections.Immutable;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>
/// The parts list: the only place where objects are joined. Starts them in an order in which nothing waits for anything that may be
/// missing, and stops them in four steps.
/// </summary>
internal sealed class ServerHost : IAsyncDisposable
{
    /// <summary>How long readiness waits for a first verdict on the members.</summary>
    private static readonly TimeSpan VerdictTimeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan ReadinessPoll = TimeSpan.FromMilliseconds(50);

    /// <summary>They take a 307 for success; docs/compatibility.md has what each client made of it.</summary>
    internal const string ClientsThatIgnoreRedirects = "Node prom-client, C++ prometheus-cpp, curl without -L";

    private readonly ActiveRing _ring = new();
    private readonly Readiness _readiness = new();
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>One reload at a time. Never disposed: one that hangs may end after everything else.</summary>
    private readonly SemaphoreSlim _reloading = new(1, 1);

    /// <summary>One order for configurations that come into force and the stop, after which none does.</summary>
    private readonly Lock _order = new();
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Func<ConfigResult> _load;
    private readonly Action<LogLevelName> _setLogLevel;
    private readonly MembershipService _membership;
    private readonly DataServer _data;
    private readonly AdminListener? _admin;
    private readonly ForwardCounters? _forwardCounters;
    private readonly ForwardListener? _forward;
    private volatile ServerOptions _options;
    private volatile ReloadStatus _reloadStatus;
    private Task _readinessWatch = Task.CompletedTask;
    private bool _stopBegun;

    /// <summary>Binds the data listener; nothing runs yet.</summary>
    /// <param name="options">The configuration to start with.</param>
    /// <param name="load">Reads the configuration again, for a reload; flags applied.</param>
    /// <param name="setLogLevel">Takes a reload's log level.</param>
    /// <param name="loggers">Where every room logs.</param>
    /// <param name="time">The one clock.</param>
    /// <exception cref="IOException">An address cannot be bound; the message says which.</exception>
    public ServerHost(
        ServerOptions options, Func<ConfigResult> load, Action<LogLevelName> setLogLevel, ILoggerFactory loggers, TimeProvider time)
    {
        _options = options;
        _load = load;
        _setLogLevel = setLogLevel;
        _loggers = loggers;
        _logger = loggers.CreateLogger<ServerHost>();
        _time = time;
        _reloadStatus = new ReloadStatus(LastSuccessful: true, time.GetUtcNow());

        int loops = Environment.ProcessorCount;
        var counters = new DataPlaneCounters(loops);
        var gateways = new GatewayRegistry(loops, options.Pushgateway.Scheme, options.Pushgateway.PathPrefix);
        _membership = new MembershipService(options, _ring, gateways, loggers, time);
        _data = new DataServer(options, _ring, _readiness, counters, loggers, time);
        if (options.ForwardListenAddr is not null)
        {
            _forwardCounters = new ForwardCounters();
            _forward = new ForwardListener(
                options, _ring, _readiness, _forwardCounters, MaxForwardConnections(options.Limits), loggers, time);
        }

        if (options.AdminListenAddr is not null) _admin = new AdminListener(AdminContext(counters));
    }

    /// <summary>Where pushes are answered, with the port that the system chose if 0 was asked for.</summary>
    public System.Net.IPEndPoint DataEndPoint => _data.EndPoint;

    /// <summary>Done when this server cannot get any further connection, so that its process has to end.</summary>
    public Task Failed => _data.ListenerDead;

    /// <summary>How long a stop may take by the configuration in force.</summary>
    public TimeSpan StopTime => _options.Shutdown.DrainDelay + _options.Shutdown.Timeout;

    /// <summary>True from when a reload begins until the new configuration is in force or refused.</summary>
    public event Action<bool>? Reloading;

    /// <summary>One line for whoever looks after the process.</summary>
    public string StatusLine
    {
        get
        {
            string ready = _readiness.IsReady ? "ready" : $"not ready: {_readiness.Reason}";
            string ring = _ring.Current is { } current ? $"members {current.Members.Length}, ring {current.Fingerprint}" : "members 0";
            string reload = _reloadStatus.LastSuccessful ? "" : "; the last reload failed, the configuration before it is in force";
            return $"{ready}; {ring}{reload}";
        }
    }

    /// <returns>Null when the data plane answers before the cancellation; else what does not.</returns>
    public Task<string?> ProbeAsync(CancellationToken cancellation) => _data.ProbeAsync(cancellation);

    /// <summary>After <see cref="StartAsync"/>, by whoever owns the process: the data plane's threads go before all others.</summary>
    public void RaiseLoopPriority() => _data.RaiseLoopPriority();

    public async Task StartAsync()
    {
        // The configured gateways are the ring before the first connection is accepted.
        _membership.Start();
        if (_admin is not null) await _admin.StartAsync();
        if (_forward is not null) await _forward.StartAsync();
        _data.Start();
        // Said once, and not with every reload: the address takes a restart.
        if (_options.ForwardListenAddr is null) _logger.NoForwardListener(ClientsThatIgnoreRedirects);
        _readinessWatch = WatchReadinessAsync().Watched(_logger, "readiness");
    }

    /// <summary>Reads the configuration again. A bad one changes nothing and says why; so does any that comes too late for a stop.</summary>
    public async Task<ReloadResult> ReloadAsync(CancellationToken cancellation = default)
    {
        await _reloading.WaitAsync(cancellation);
        try
        {
            lock (_order)
            {
                if (_stopBegun) return TooLate();
            }

            Reloading?.Invoke(true);
            try
            {
                return Reload();
            }
            finally
            {
                Reloading?.Invoke(false);
            }
        }
        catch (Exception error)
        {
            // A defect of ours is no reason to end: the server serves as before.
            _logger.ReloadBroke(error);
            string[] errors = ["reload failed inside the server: see the log"];
            _reloadStatus = _reloadStatus with { LastSuccessful = false, Errors = errors };
            return new ReloadResult(Applied: false, errors, []);
        }
        finally
        {
            _reloading.Release();
        }
    }

    /// <summary>
    /// Not ready, still answering; then no longer accepting; then waiting for what is in flight; then cutting off. Waits for no file that a reload
    /// reads, only for a configuration that is coming into force at the moment.
    /// </summary>
    public async Task StopAsync()
    {
        BeginStop();
        ShutdownOptions shutdown = _options.Shutdown;
        await _stopping.CancelAsync();
        await _readinessWatch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        // In this order, so that whoever has seen the 503 gets no response that keeps its connection.
        _data.Drain();
        _forward?.Drain();
        _readiness.SetObstacle("shutting down");
        _logger.Draining(shutdown.DrainDelay, _data.OpenConnections);
        await Task.Delay(shutdown.DrainDelay, _time);
        await Task.WhenAll(_data.StopAsync(shutdown.Timeout), _forward?.StopAsync(shutdown.Timeout) ?? Task.CompletedTask);
        await _membership.StopAsync();
        if (_admin is not null) await _admin.StopAsync(new CancellationToken(canceled: true));
        _logger.Stopped();
    }

    public async ValueTask DisposeAsync()
    {
        BeginStop();
        await _stopping.CancelAsync();
        await _readinessWatch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _membership.DisposeAsync();
        if (_admin is not null) await _admin.DisposeAsync();
        if (_forward is not null) await _forward.DisposeAsync();
        _data.Dispose();
        _stopping.Dispose();
    }

    private void BeginStop()
    {
        lock (_order) _stopBegun = true;
    }

    private ReloadResult TooLate()
    {
        _logger.ReloadTooLate();
        return new ReloadResult(Applied: false, ["the server is stopping"], []);
    }

    private ReloadResult Reload()
    {
        ConfigResult loaded = _load();
        lock (_order) return _stopBegun ? TooLate() : Take(loaded);
    }

    private ReloadResult Take(ConfigResult loaded)
    {
        foreach (ConfigProblem warning in loaded.Warnings) _logger.ConfigurationWarning(warning.ToString());
        if (loaded.Options is not { } wanted)
        {
            foreach (ConfigProblem error in loaded.Errors) _logger.ConfigurationError(error.ToString());
            _logger.ReloadFailed(loaded.Errors.Length);
            string[] errors = [.. loaded.Errors.Select(error => error.ToString())];
            _reloadStatus = _reloadStatus with { LastSuccessful = false, Errors = errors };
            return new ReloadResult(Applied: false, errors, []);
        }

        ServerOptions running = _options;
        ImmutableArray<string> needRestart = ConfigDiff.RestartKeys(running, wanted);
        ImmutableArray<string> changed = ConfigDiff.ReloadKeys(running, wanted);
        if (!needRestart.IsEmpty) _logger.RestartNeeded(needRestart);

        ServerOptions options = ConfigDiff.Reload(running, wanted);
        _options = options;
        _setLogLevel(options.Log.Level);
        if (options.Limits != running.Limits) _data.Apply(options.Limits);
        _forward?.Apply(options, MaxForwardConnections(options.Limits));
        _membership.Apply(options);
        _reloadStatus = new ReloadStatus(LastSuccessful: true, _time.GetUtcNow()) { NeedRestart = needRestart };
        _logger.Reloaded(changed);
        return new ReloadResult(Applied: true, [], needRestart);
    }

    private async Task WatchReadinessAsync()
    {
        long started = _time.GetTimestamp();
        using var timer = new PeriodicTimer(ReadinessPoll, _time);
        do
        {
            if (_ring.Current is not { } ring)
            {
                _readiness.SetObstacle("no pushgateway is known yet");
            }
            else if (_membership.View.HasVerdict || _time.GetElapsedTime(started) >= VerdictTimeout)
            {
                _readiness.SetReady();
                _logger.Ready(ring.Members.Length, ring.Fingerprint, _time.GetElapsedTime(started));
                return;
            }
            else
            {
                _readiness.SetObstacle("no verdict on the gateways' health yet");
            }
        }
        while (await timer.WaitForNextTickAsync(_stopping.Token));
    }

    private static int MaxForwardConnections(LimitOptions limits) => DescriptorBudget.Of(DescriptorLimit.Current, limits, forwards: true).Forward;

    private AdminContext AdminContext(DataPlaneCounters counters) => new()
    {
        Options = () => _options,
        Ring = _ring,
        Membership = () => _membership.View,
        Counters = counters,
        Forward = _forwardCounters,
        Readiness = _readiness,
        Reload = ReloadAsync,
        ReloadStatus = () => _reloadStatus,
        GroupingKey = () => new GroupingKey(_options.Sharding.Key, _options.Limits.RequestLine),
        Build = BuildInfo.Current,
        Started = _time.GetUtcNow(),
        StartedTimestamp = _time.GetTimestamp(),
        Time = _time,
        LoggerFactory = _loggers,
    };
}
