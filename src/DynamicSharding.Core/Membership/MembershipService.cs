using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Logging;
using DynamicSharding.Outbound;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Membership;

/// <summary>Drives the policy with reports, reloads and time, one at a time, and publishes its rings.</summary>
internal sealed class MembershipService : IAsyncDisposable
{
    /// <summary>In a log line: anybody can register any number of instances.</summary>
    private const int MaxNamed = 10;

    private static readonly TimeSpan RestartPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ConfirmPeriod = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ConfirmRetryPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan MaxLateness = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan MinTick = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MinRetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxRetryPause = TimeSpan.FromSeconds(30);

    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly MembershipPolicy _policy;
    private readonly RingPublisher _publisher;
    private readonly IGatewaySource _source;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private ServerOptions _options;
    private Task _watching = Task.CompletedTask;

    /// <summary>The decision whose ring could not be built; null after a success.</summary>
    private PolicyDecision? _unpublished;
    private long _triedAt;
    private TimeSpan _retryPause = MinRetryPause;
    private bool _hasReport;

    /// <summary>A confirmation was requested, and no report has come since.</summary>
    private bool _isConfirming;

    /// <summary>Something is due that the source may know better in a moment.</summary>
    private bool _waitsForSource;

    /// <summary>Since when no gateway is healthy; null while one is.</summary>
    private long? _outageBegan;

    /// <summary>When the timer was set, and to how long.</summary>
    private long _armedAt;
    private TimeSpan _armedFor;
    private bool _stopped;
    private volatile MembershipView _view;

    /// <param name="ring">Written only here.</param>
    /// <param name="gateways">Used only here.</param>
    /// <param name="names">Who resolves the gateways' names.</param>
    /// <param name="tls">Of the gateways; null for plain HTTP.</param>
    public MembershipService(
        ServerOptions options, ActiveRing ring, GatewayRegistry gateways, GatewayNames names, ILoggerFactory loggers, TimeProvider time, GatewayTls? tls = null)
    {
        _options = options;
        _time = time;
        _logger = loggers.CreateLogger("membership");
        _policy = new MembershipPolicy(options.Membership, time);
        _publisher = new RingPublisher(ring, gateways, options.Sharding, options.Membership.Allow, _logger, time);
        _source = options.Discovery switch
        {
            DiscoveryKind.Static => new StaticGatewaySource(options, time, tls),
            DiscoveryKind.Consul => new ConsulGatewaySource(options, loggers.CreateLogger("discovery"), time, tls),
            _ => new ListedGatewaySource(options, names, loggers.CreateLogger("discovery"), time, tls),
        };
        _timer = time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _view = new MembershipView([], [], 0, false, _source.Status);
    }

    public MembershipView View => _view with { Discovery = _source.Status };

    /// <summary>Rings of the last day that were replaced, newest first.</summary>
    public ImmutableArray<EarlierRing> Earlier
    {
        get
        {
            lock (_lock) return _publisher.Earlier;
        }
    }

    /// <summary>Publishes the configured gateways as the first ring at once. Discovery starts in the background.</summary>
    public void Start()
    {
        Advance(() => Configure(_options));
        _watching = Task.Run(WatchAsync);
    }

    /// <summary>Applies a reloaded configuration. Never waits.</summary>
    public void Apply(ServerOptions options)
    {
        lock (_lock) _options = options;
        Advance(() =>
        {
            _publisher.Apply(options.Membership.Allow);
            return Configure(options);
        });
        _source.Apply(options);
    }

    /// <summary>A gateway that left the ring was found to hold no group: Prometheus need not scrape it any longer.</summary>
    public void Emptied(string address) => Advance(() =>
    {
        _publisher.Emptied(address);
        return null;
    });

    /// <summary>Leaves the ring: draining connections still need it.</summary>
    public async Task StopAsync()
    {
        lock (_lock)
        {
            if (_stopped) return;
            _stopped = true;
        }

        await _timer.DisposeAsync().ConfigureAwait(false);
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _source.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    public async ValueTask DisposeAsync() => await StopAsync().ConfigureAwait(false);

    private async Task WatchAsync()
    {
        CancellationToken ct = _stop.Token;
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await foreach (GatewayReport report in _source.WatchAsync(ct).ConfigureAwait(false)) Observe(report);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return;
            }
            catch (Exception ex)
            {
                // A source handles every failure of Consul and the gateways, so this is a bug. Keep watching anyway.
                Log.GatewaySourceFailed(_logger, ex);
                await Task.Delay(RestartPause, _time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private PolicyDecision? Configure(ServerOptions options) =>
        _policy.Configure(options.Pushgateway.Servers, options.Membership, options.Pushgateway.ServerWeights);

    private void Observe(GatewayReport report) => Advance(() =>
    {
        _isConfirming = false;
        _hasReport |= report is { Interrupted: false, Provisional: false };
        return _policy.Observe(report);
    });

    private void OnTimer() => Advance(() =>
    {
        if (!_source.NeedsConfirmation) return _policy.Tick();

        // A report that has just come decides with time, unless a change that it does not know may have come meanwhile: while the source was busy,
        // or this process did not run.
        bool isLate = _time.GetElapsedTime(_armedAt) > _armedFor + MaxLateness;
        _waitsForSource = !_policy.IsStale && !isLate && !_source.IsUpToDate;
        if (_waitsForSource) return null;
        if (!_policy.IsStale && !isLate) return _policy.Tick();

        // If the source may have fallen silent, time alone decides nothing: a confirmation is requested, and its report decides.
        _source.Confirm();
        _isConfirming = true;
        return null;
    });

    private void Advance(Func<PolicyDecision?> step)
    {
        lock (_lock)
        {
            if (_stopped) return;
            ImmutableArray<GatewayStatus> before = _view.Gateways;
            Publish(step());
            _view = Snapshot();
            LogChanges(before, _view.Gateways);
            TimeSpan? due = _policy.NextDeadline;

            if (due is { } distance && _source.NeedsConfirmation)
            {
                // A confirmation without a report is repeated before its time is lost.
                (TimeSpan least, TimeSpan most) = _isConfirming ? (MinRetryPause, ConfirmRetryPause) : (MinTick, ConfirmPeriod);
                due = TimeSpan.FromTicks(Math.Clamp(_waitsForSource ? 0 : distance.Ticks, least.Ticks, most.Ticks));
                _waitsForSource = false;
            }

            if (_unpublished is not null && (due is null || due > UntilRetry())) due = UntilRetry();
            (_armedAt, _armedFor) = (_time.GetTimestamp(), due is { } pause ? Ceiling(pause) : Timeout.InfiniteTimeSpan);
            _timer.Change(_armedFor, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The policy decides on a ring only once, so a failed one is retried here.</summary>
    private void Publish(PolicyDecision? decision)
    {
        if (decision is not null)
        {
            // Whatever becomes the first ring counts as the start.
            _unpublished = _unpublished?.Cause == RingChangeCause.Start ? decision with { Cause = RingChangeCause.Start } : decision;
            _retryPause = MinRetryPause;
        }
        else if (_unpublished is null || UntilRetry() > TimeSpan.Zero)
        {
            return;
        }

        _triedAt = _time.GetTimestamp();
        if (_publisher.TryPublish(_unpublished))
        {
            _unpublished = null;
            return;
        }

        if (decision is null) _retryPause = _retryPause * 2 < MaxRetryPause ? _retryPause * 2 : MaxRetryPause;
    }

    private TimeSpan UntilRetry()
    {
        TimeSpan left = _retryPause - _time.GetElapsedTime(_triedAt);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>Timers count whole milliseconds and may round down, but a tick before its deadline decides nothing.</summary>
    private static TimeSpan Ceiling(TimeSpan due) => TimeSpan.FromMilliseconds(Math.Ceiling(due.TotalMilliseconds));

    private MembershipView Snapshot()
    {
        ImmutableDictionary<RingChangeCause, long> changes = _publisher.Changes;
        ImmutableArray<GatewayStatus> known = _policy.Statuses();
        _publisher.Judge(known);
        return new MembershipView(
            known,
            _publisher.History,
            changes.Where(static c => c.Key != RingChangeCause.Start).Sum(static c => c.Value),
            _policy.HasVerdict,
            _source.Status)
        {
            ChangesByCause = changes,
            HasReport = _hasReport,
            Former = _publisher.Former,
            BuildFailures = _publisher.Failures,
        };
    }

    /// <summary>Logs changes of gateways. A change of the ring has its own line.</summary>
    private void LogChanges(ImmutableArray<GatewayStatus> before, ImmutableArray<GatewayStatus> after)
    {
        Dictionary<string, GatewayStatus> old = before.ToDictionary(static g => g.Address, StringComparer.Ordinal);
        List<string> held = [], refused = [];
        foreach (GatewayStatus gateway in after)
        {
            GatewayStatus? was = old.GetValueOrDefault(gateway.Address);
            if (gateway.Overloaded && was is not { Overloaded: true }) Log.GatewayOverloaded(_logger, gateway.Address, gateway.CheckOutput ?? "");
            if (!gateway.Overloaded && was is { Overloaded: true }) Log.GatewayNotOverloaded(_logger, gateway.Address);
            if (was?.State == gateway.State) continue;
            if (gateway.State == GatewayState.Held) held.Add(gateway.Address);
            if (gateway.State == GatewayState.Refused) refused.Add(gateway.Address);
            Log.GatewayStateChanged(_logger, gateway.Address, gateway.State.ToString(), gateway.Reason);
        }

        if (_policy.IsOutage && _outageBegan is null)
        {
            _outageBegan = _time.GetTimestamp();
            Log.OutageBegan(_logger, LogValue.List(after.Where(static g => g.State == GatewayState.Held).Select(static g => g.Address)));
        }
        else if (!_policy.IsOutage && _outageBegan is { } began)
        {
            _outageBegan = null;
            IEnumerable<string> healthy = after
                .Where(static g => g is { IsHealthy: true, State: GatewayState.Member or GatewayState.Joining }).Select(static g => g.Address);
            Log.OutageEnded(_logger, LogValue.List(healthy), _time.GetElapsedTime(began));
        }

        // In an outage they are held because there are no others, however far apart they were lost.
        if (held.Count > 0 && !_policy.IsOutage) Log.MassLossHeld(_logger, string.Join(',', held));
        if (refused.Count > 0) Log.GatewaysRefused(_logger, string.Join(',', refused.Take(MaxNamed)), refused.Count);
    }
}
