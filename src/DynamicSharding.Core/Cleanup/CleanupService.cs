using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Outbound;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Cleanup;

/// <summary>Decides when a pass starts and what ends it early: the configuration, the ring, the lease, and gateways that restart.</summary>
internal sealed class CleanupService : IAsyncDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RestartPeriod = TimeSpan.FromSeconds(30);

    /// <summary>After a pass that could not do everything, and after an internal error.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(30);

    /// <summary>A restart is looked for at so many gateways at a time.</summary>
    private const int MaxConcurrentLooks = 8;

    private readonly ActiveRing _ring;
    private readonly MembershipService _membership;
    private readonly CleanupLease? _lease;
    private readonly DeletedGroups _deletedGroups;
    private readonly TimeSpan _betweenReadings;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly bool _keyIsPath;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, string> _startTimes = new(StringComparer.Ordinal);

    /// <summary>Unreadable gateways outside the ring that have already been logged.</summary>
    private readonly HashSet<string> _silent = new(StringComparer.Ordinal);
    private volatile ServerOptions _options;
    private volatile CleanupView _view = CleanupView.Off;
    private Task _running = Task.CompletedTask;
    private Task _deleting = Task.CompletedTask;
    private Task _leasing = Task.CompletedTask;
    private CancellationTokenSource? _leaseStop;
    private string _rings = "";
    private long _unchangedSince;
    private long? _dueAt;
    private long? _lookedAt;
    private bool _heldLease;

    /// <param name="instance">The name of this process, for operators of others.</param>
    /// <param name="names">Who resolves the gateways' names.</param>
    /// <param name="tls">Of the gateways; null for plain HTTP.</param>
    /// <param name="betweenReadings">Null for <see cref="CleanupPass.BetweenReadings"/>.</param>
    public CleanupService(
        ServerOptions options, string instance, ActiveRing ring, MembershipService membership, GatewayNames names, ILoggerFactory loggers, TimeProvider time,
        GatewayTls? tls = null, TimeSpan? betweenReadings = null)
    {
        _options = options;
        _ring = ring;
        _membership = membership;
        _time = time;
        _betweenReadings = betweenReadings ?? CleanupPass.BetweenReadings;
        _logger = loggers.CreateLogger("cleanup");
        _keyIsPath = options.Sharding.Key == ShardingKey.Path;
        Client = new PushgatewayClient(options.Pushgateway, tls, time, names.Resolver);
        Deletes = new RememberedDeletes(time, Environment.ProcessorCount);
        _deletedGroups = new DeletedGroups(Deletes, Client, ring, membership, () => _options, _logger, time);
        if (options.Discovery == DiscoveryKind.Consul) _lease = new CleanupLease(options.Consul, instance, () => _ring.Current?.Fingerprint, _logger, time);
    }

    /// <summary>One for all that reads groups or deletes them: it keeps the deletes of a gateway apart.</summary>
    public PushgatewayClient Client { get; }

    public RememberedDeletes Deletes { get; }

    public CleanupView View
    {
        get
        {
            CleanupOptions options = _options.Cleanup;
            return _view with
            {
                Enabled = options.Enabled,
                DryRun = options.DryRun,
                HoldsLease = _lease?.IsHeld,
                LeaseHolder = _lease?.Holder,
                LeaseFailures = _lease?.Failures,
                Waiting = options.Enabled ? _view.Waiting : null,
                RememberedDeletes = Deletes.Count,
                LostDeletes = Deletes.Lost,
                Deleted = _view.Deleted.SetItem((int)DeleteReason.Deleted, _view.Deleted[(int)DeleteReason.Deleted] + _deletedGroups.Deleted),
            };
        }
    }

    /// <summary>The gateways that a pass would read now; none without a ring.</summary>
    public ImmutableArray<CleanupTarget> Targets => _ring.Current is { } ring ? CleanupTargets.Of(ring, _membership.View, _time) : [];

    public void Start()
    {
        _unchangedSince = _time.GetTimestamp();
        _running = Task.Run(() => RunAsync(_stop.Token));
        _deleting = Task.Run(() => _deletedGroups.RunAsync(_stop.Token)).LogFailure(_logger, "deleted groups");
    }

    /// <summary>Applies a reloaded configuration. Never waits; a pass under way ends before its next delete.</summary>
    public void Apply(ServerOptions options)
    {
        _options = options;
        _lease?.Apply(options.Consul);
    }

    /// <summary>Ends a pass before its next delete, and releases the lease.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _deleting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await StopLeaseAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        Client.Dispose();
        _lease?.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            TimeSpan pause = Tick;
            try
            {
                await StepAsync(ct).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // A pass handles every failure of a gateway, so this is a bug.
                _logger.CleanupFailed(e);
                _view = _view with { IsRunning = false, Passes = _view.Passes + 1, FailedPasses = _view.FailedPasses + 1 };
                pause = RetryPause;
            }

            await Task.Delay(pause, _time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task StepAsync(CancellationToken ct)
    {
        HashRing<Gateway>? ring = _ring.Current;
        Observe(ring);
        if (!_options.Cleanup.Enabled || _keyIsPath)
        {
            await StopLeaseAsync().ConfigureAwait(false);
            _dueAt = null;
            _view = _view with { Waiting = _keyIsPath ? "sharding.key is path" : null };
            return;
        }

        StartLease();
        string? waiting = WhyWait(ring);
        _view = _view with { Waiting = waiting };
        if (waiting is not null) return;
        bool holdsLease = _lease is null || _lease.IsHeld;
        if (holdsLease && !_heldLease) _dueAt = null;
        _heldLease = holdsLease;
        await LookForRestartsAsync(ct).ConfigureAwait(false);
        if (_dueAt is { } due && _time.GetTimestamp() < due) return;
        await PassAsync(ring!, holdsLease, ct).ConfigureAwait(false);
    }

    /// <summary>A change of the ring, or of the rings of other instances, starts the time to settle anew, and a pass follows it.</summary>
    private void Observe(HashRing<Gateway>? ring)
    {
        string rings = string.Join(' ', (_lease?.Fingerprints ?? []).Append(ring?.Fingerprint ?? "").Where(static print => print.Length > 0).Distinct().Order(StringComparer.Ordinal));
        if (rings == _rings) return;
        _rings = rings;
        Deletes.Reopen();
        _unchangedSince = _time.GetTimestamp();
        _dueAt = null;
    }

    private string? WhyWait(HashRing<Gateway>? ring)
    {
        if (ring is null) return "there is no ring";
        if (_membership.View is { HasVerdict: false }) return "not every gateway has been checked yet";
        if (CleanupTargets.WhyUnsettled(_membership.View) is { } unsettled) return unsettled;
        if (_rings.Contains(' ')) return "instances have different rings";
        TimeSpan left = _options.Cleanup.Settle - _time.GetElapsedTime(_unchangedSince);
        if (left > TimeSpan.Zero) return "the ring has changed and is not settled yet";
        return _lease is { IsHeld: false, Error: { } error } ? "no lease: " + error : null;
    }

    private async Task PassAsync(HashRing<Gateway> ring, bool holdsLease, CancellationToken ct)
    {
        ServerOptions options = _options;
        ImmutableArray<CleanupTarget> targets = Targets;

        // Without the lease, each instance still has its own clients' deletes, and its own list of former members.
        if (!holdsLease && !Deletes.HasPending) targets = [.. targets.Where(static target => target.LeftAt is not null)];
        if (targets.IsEmpty)
        {
            _dueAt = After(options.Cleanup.Interval);
            return;
        }

        // Another gateway begins each time: what one holds and nobody can delete must not take the room of the others forever.
        int begin = (int)(_view.Passes % targets.Length);
        targets = [.. targets[begin..], .. targets[..begin]];
        string? stopped = null;
        _view = _view with { IsRunning = true };
        var inputs = new CleanupInputs
        {
            Ring = ring,
            Targets = targets,
            Options = options.Cleanup,
            Deletes = Deletes,
            HoldsLease = holdsLease,
            WhyStop = () => stopped ??= WhyStop(ring, options, holdsLease, ct),
        };
        try
        {
            CleanupReport report = await new CleanupPass(inputs, Client, _betweenReadings, _logger, _time).RunAsync(ct).ConfigureAwait(false);
            Finish(report, holdsLease, stopped);
        }
        finally
        {
            _view = _view with { IsRunning = false };
        }
    }

    private string? WhyStop(HashRing<Gateway> ring, ServerOptions options, bool holdsLease, CancellationToken ct)
    {
        if (ct.IsCancellationRequested) return "the process stops";
        if (_ring.Current?.Fingerprint != ring.Fingerprint) return "the ring has changed";
        if (CleanupTargets.WhyUnsettled(_membership.View) is { } unsettled) return unsettled;
        if (!ReferenceEquals(_options, options) && _options.Cleanup != options.Cleanup) return "the configuration was reloaded";
        if (_lease is null || !holdsLease) return null;
        if (!_lease.IsHeld) return "the lease is lost";
        return _lease.Fingerprints.All(fingerprint => fingerprint == ring.Fingerprint || fingerprint.Length == 0) ? null : "instances have different rings";
    }

    private void Finish(CleanupReport report, bool holdsLease, string? stopped)
    {
        foreach (CleanupGateway gateway in report.Gateways)
        {
            if (gateway.Error is null && gateway.Groups == 0 && _membership.View.Former.ContainsKey(gateway.Address)) _membership.Emptied(gateway.Address);
            if (gateway.Error is null) _silent.Remove(gateway.Address);

            // One that is gone for good is tried for a week: one line says so, not one for each pass.
            else if (gateway.InRing || _silent.Add(gateway.Address)) _logger.CleanupGatewayFailed(gateway.Address, gateway.Error);
        }

        long deleted = report.Deleted.Sum();
        bool isWhole = report.IsSuccess && report.ReadEveryGateway && stopped is null && LeftReasons.ForLater.All(reason => report.Left[(int)reason] == 0);
        if (isWhole && report.Deleted[(int)DeleteReason.Deleted] == 0) Deletes.Settle(report.StartedAt);
        if (stopped is not null) _logger.CleanupPassStopped(stopped);
        if (deleted + report.Left.Sum() == 0) _logger.CleanupPassIdle(report.Groups, report.Misplaced, report.Duration.TotalSeconds);
        else _logger.CleanupPassFinished(report.Groups, report.Misplaced, deleted, report.Left.Sum(), report.Duration.TotalSeconds, report.DryRun);

        TimeSpan interval = _options.Cleanup.Interval;
        TimeSpan pause = report.IsPartial && interval > RetryPause ? RetryPause : interval;
        _dueAt = After(pause);
        CleanupView view = _view;
        _view = view with
        {
            Last = holdsLease ? report : view.Last,
            LastSuccess = holdsLease && report.IsSuccess ? _time.GetUtcNow() : view.LastSuccess,
            Deleted = report.DryRun ? view.Deleted : [.. view.Deleted.Zip(report.Deleted, static (a, b) => a + b)],
            Passes = view.Passes + 1,
            FailedPasses = view.FailedPasses + (report.IsSuccess ? 0 : 1),
        };
    }

    private long After(TimeSpan pause) => _time.GetTimestamp() + (long)(pause.TotalSeconds * _time.TimestampFrequency);

    /// <summary>A gateway that restarts loads what it had deleted from its file: that takes another pass.</summary>
    private async Task LookForRestartsAsync(CancellationToken ct)
    {
        if (_lookedAt is { } then && _time.GetElapsedTime(then) < RestartPeriod) return;
        _lookedAt = _time.GetTimestamp();
        ImmutableArray<CleanupTarget> targets = Targets;
        var found = new string?[targets.Length];
        await Parallel.ForAsync(0, targets.Length, new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrentLooks, CancellationToken = ct }, async (i, stop) =>
        {
            try
            {
                found[i] = (await Client.StatusAsync(targets[i].Address, stop).ConfigureAwait(false)).StartTime;
            }
            catch (PushgatewayException)
            {
                // The next pass reports it.
            }
        }).ConfigureAwait(false);
        for (int i = 0; i < found.Length; i++)
        {
            if (found[i] is not { } start) continue;
            if (_startTimes.TryGetValue(targets[i].Address, out string? known) && known != start)
            {
                _dueAt = null;
                Deletes.Reopen();
            }

            _startTimes[targets[i].Address] = start;
        }
    }

    private void StartLease()
    {
        if (_lease is null || _leaseStop is not null) return;
        _leaseStop = new CancellationTokenSource();
        CancellationToken ct = _leaseStop.Token;
        _leasing = Task.Run(() => _lease.RunAsync(ct), CancellationToken.None).LogFailure(_logger, "cleanup lease");
    }

    private async Task StopLeaseAsync()
    {
        if (_leaseStop is null) return;
        await _leaseStop.CancelAsync().ConfigureAwait(false);
        await _leasing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _leaseStop.Dispose();
        _leaseStop = null;
    }
}
