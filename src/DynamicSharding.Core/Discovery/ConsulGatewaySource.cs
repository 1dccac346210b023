using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// The gateways are those that Consul knows, and Consul's checks judge them. Until its first answer that names any, the configured ones
/// are judged by probes of our own.
/// </summary>
internal sealed class ConsulGatewaySource : IGatewaySource
{
    private const int MaxWarnedAddresses = 100;

    /// <summary>How often a Consul that did not confirm is asked again while the watch hears nothing either.</summary>
    private static readonly TimeSpan ConfirmPause = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger;
    private readonly ConsulClient _client;
    private readonly ConsulToken _token;
    private readonly ConsulWatch _watch;
    private readonly ConsulRegistrar _registrar;
    private readonly StaticGatewaySource _probes;

    /// <summary>Asks those of whom Consul's check says too little, see <see cref="Recheck"/>.</summary>
    private readonly ProbeSet _rechecks;

    private readonly CancellationTokenSource _probing = new();
    private readonly HashSet<string> _warned = [];
    private readonly SpellingWatch _spellings;

    /// <summary>One slot: something is to be judged anew, be it rows, settings or a probe's finding.</summary>
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>One slot: membership has something pending and wants to know whether Consul still says so.</summary>
    private readonly Channel<bool> _confirmations = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Small: the listener is never far behind, and a writer may wait.</summary>
    private readonly Channel<GatewayReport> _reports = Channel.CreateBounded<GatewayReport>(4);

    /// <summary>
    /// Passing in Consul without a check's output, and alive all the same: a probe of ours passed, or a check of before. Until Consul says
    /// something else of them.
    /// </summary>
    private HashSet<string> _proven = new(StringComparer.Ordinal);

    /// <summary>Since when configured gateways are absent from Consul's response and pass our own probe.</summary>
    private readonly Dictionary<string, long> _absentSince = new(StringComparer.Ordinal);

    private readonly TimeProvider _time;
    private volatile ServerOptions _options;

    /// <summary>Those of them that are absent for too long to be registrations on their way.</summary>
    private volatile IReadOnlyList<string> _hidden = [];

    /// <summary>When the next of them is to be told of, without any news.</summary>
    private TimeSpan? _due;

    /// <summary>Consul's last answer; null while there is none.</summary>
    private volatile List<ServiceEntry>? _rows;

    private List<ServiceEntry>? _judged;
    private GatewayReport? _last;
    private volatile bool _adopted;

    /// <summary>The rows are Consul's word of this moment: a report is due, even one that says the same.</summary>
    private volatile bool _confirmed;

    /// <summary>When they came.</summary>
    private long _heardAt;
    private long _skipped;

    public ConsulGatewaySource(ServerOptions options, ILogger logger, TimeProvider time)
    {
        _logger = logger;
        _time = time;
        _options = options;
        _token = new ConsulToken(options.Consul);
        _client = ConsulConnection.Open(options.Consul, _token.Current, time);
        _watch = new ConsulWatch(options.Consul, _token.Current, logger, time, options.Sharding.Replicas);
        _spellings = new SpellingWatch(options.Sharding.Key, logger);
        _registrar = new ConsulRegistrar(_client, _token.Current, options, logger, time, _spellings);
        _probes = new StaticGatewaySource(options, time);
        _rechecks = new ProbeSet(options.Pushgateway, Notify, time);
    }

    public DiscoveryStatus Status => _watch.Status with
    {
        SkippedAddresses = Interlocked.Read(ref _skipped),
        HiddenGateways = [.. _hidden],
        RegistrationWrites = _registrar.Writes,
        RegistrationFailures = _registrar.Failures,
    };

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task registering = Task.Run(() => _registrar.RunAsync(stop.Token), CancellationToken.None);
        Task probing = _adopted ? Task.CompletedTask : Task.Run(() => ForwardProbesAsync(stop.Token), CancellationToken.None).Watched(_logger, "probes before Consul's first response");
        Task judging = Task.Run(() => EvaluateAsync(probing, stop.Token), CancellationToken.None);
        Task confirming = Task.Run(() => ConfirmAsync(stop.Token), CancellationToken.None);
        Task watching = Task.Run(() => _watch.RunAsync(OnRows, OnLost, _registrar.ReconcileNow, stop.Token), CancellationToken.None);
        try
        {
            while (true)
            {
                // These end by themselves only through a bug of ours: the listener hears of it and watches anew.
                Task<bool> available = _reports.Reader.WaitToReadAsync(ct).AsTask();
                await (await Task.WhenAny(available, judging, registering, confirming, watching).ConfigureAwait(false)).ConfigureAwait(false);
                while (_reports.Reader.TryRead(out GatewayReport? report)) yield return report;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(registering, probing, judging, confirming, watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>A blocking query hears nothing for a minute when nothing changes, and when Consul has fallen silent.</summary>
    public bool NeedsConfirmation => _adopted;

    public void Confirm() => _confirmations.Writer.TryWrite(true);

    public void Apply(ServerOptions options)
    {
        _options = options;
        StopRefused();
        _token.Apply(options.Consul);
        _probes.Apply(options);
        _registrar.Apply(options);

        // The next answer may be a minute away: what is known is judged by the new settings now.
        Notify();
    }

    public async ValueTask DisposeAsync()
    {
        await _probes.DisposeAsync().ConfigureAwait(false);
        await _rechecks.DisposeAsync().ConfigureAwait(false);
        _watch.Dispose();
        _client.Dispose();
        _probing.Dispose();
    }

    private void Notify() => _news.Writer.TryWrite(true);

    private void OnRows(List<ServiceEntry> rows)
    {
        Interlocked.Exchange(ref _heardAt, _time.GetTimestamp());
        _rows = rows;
        Notify();
    }

    private void OnLost()
    {
        _rows = null;
        Notify();
    }

    private void Confirmed(List<ServiceEntry> rows)
    {
        Interlocked.Exchange(ref _heardAt, _time.GetTimestamp());
        _rows = rows;
        _confirmed = true;
        Notify();
    }

    private async Task ConfirmAsync(CancellationToken ct)
    {
        while (true)
        {
            await _confirmations.Reader.ReadAsync(ct).ConfigureAwait(false);
            while (!await _watch.ConfirmAsync(_client, Confirmed, OnLost, ct).ConfigureAwait(false) || _rows is null)
            {
                await Task.Delay(ConfirmPause, _time, ct).ConfigureAwait(false);
                if (_rows is not null) break;
            }
        }
    }

    private async Task ForwardProbesAsync(CancellationToken ct)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, _probing.Token);
        await foreach (GatewayReport report in _probes.WatchAsync(either.Token).ConfigureAwait(false))
        {
            await _reports.Writer.WriteAsync(report, either.Token).ConfigureAwait(false);
        }
    }

    private async Task EvaluateAsync(Task probing, CancellationToken ct)
    {
        while (true)
        {
            await NewsAsync(ct).ConfigureAwait(false);
            bool confirmed = _confirmed;
            _confirmed = false;
            GatewayReport report = Evaluate(confirmed);
            if (report.Interrupted)
            {
                // Before the first answer the probes are the judge, and they go on.
                if (!_adopted || _last is { Interrupted: true }) continue;
            }
            else if (!_adopted)
            {
                // No probe's report may come after the first of Consul's: the forwarding has ended before that is written.
                _adopted = true;
                report = report with { Adopt = true };
                await _probing.CancelAsync().ConfigureAwait(false);
                await probing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await _probes.DisposeAsync().ConfigureAwait(false);
            }
            else if (!confirmed && _last is { Interrupted: false } last && last.VerdictTimeout == report.VerdictTimeout && last.Verdicts.SequenceEqual(report.Verdicts))
            {
                continue;
            }

            _last = report;
            await _reports.Writer.WriteAsync(report, ct).ConfigureAwait(false);
        }
    }

    private async Task NewsAsync(CancellationToken ct)
    {
        using var expiry = new CancellationTokenSource(_due ?? Timeout.InfiniteTimeSpan, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            await _news.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
        }
    }

    /// <param name="isConfirmation">The rows repeat what the watch has told, or what it is about to tell.</param>
    private GatewayReport Evaluate(bool isConfirmation)
    {
        _due = null;

        // Also while there is nothing to judge: a reload may refuse one that is being probed.
        StopRefused();
        if (_rows is not { } rows) return GatewayReport.Interruption;
        ServerOptions options = _options;
        ImmutableArray<string> servers = options.Pushgateway.Servers;
        HealthCheckOptions check = options.Pushgateway.HealthCheck;
        var skipped = new List<string>();
        ImmutableArray<GatewayVerdict> verdicts = ConsulHealthEvaluator.Evaluate(rows, check.OverloadIsHealthy, skipped, _spellings.Key);
        if (!isConfirmation && !ReferenceEquals(rows, _judged))
        {
            foreach (string address in skipped) Warn(address);
            _spellings.Look(rows);

            // One of ours that lost its registration must be back before the patience with it ends, which is sooner than the registrar's period.
            if (!verdicts.IsEmpty && servers.Except(verdicts.Select(static v => v.Address), StringComparer.Ordinal).Any()) _registrar.ReconcileNow();
            _judged = rows;
        }

        if (verdicts.IsEmpty) return GatewayReport.Interruption;
        TimeSpan verdictTimeout = (2 * check.Interval) + check.Timeout;
        return new GatewayReport(check.Enabled ? Recheck(verdicts, options) : AcceptConsulStatus(verdicts, servers), verdictTimeout) { MustBeFresh = true, HeardAt = Interlocked.Read(ref _heardAt) };
    }

    /// <summary>
    /// Of some gateways Consul says too little, and this process asks them itself. An agent passes on a changed status at once, but a mere change
    /// of the output up to five minutes later: so Consul cannot be asked whether a gateway that was overloaded has died since, nor whether one
    /// whose first check was critical is dead or overloaded; without a verdict of Consul's, only an overload is believed. A status of passing
    /// without output is what somebody wrote into a registration: it counts once a probe of ours has passed. And a configured gateway that
    /// the response lacks may be hidden by the token's rights: as long as our probe passes, it stays.
    /// </summary>
    private ImmutableArray<GatewayVerdict> Recheck(ImmutableArray<GatewayVerdict> verdicts, ServerOptions options)
    {
        HashSet<string> named = options.Pushgateway.Servers.ToHashSet(StringComparer.Ordinal);
        HashSet<string> absent = named.Except(verdicts.Select(static v => v.Address)).ToHashSet(StringComparer.Ordinal);
        _rechecks.Update(
            [
                .. verdicts.Where(v => v.Overloaded || v.Health == GatewayHealth.Unknown || (v.IsUnproven && !_proven.Contains(v.Address)))
                    .Select(static v => v.Address).Where(address => options.Membership.Allow.Allows(address, named.Contains(address))),
                .. absent,
            ],
            options.Pushgateway.HealthCheck);

        var all = ImmutableArray.CreateBuilder<GatewayVerdict>();
        var proven = new HashSet<string>(StringComparer.Ordinal);
        foreach (GatewayVerdict verdict in verdicts)
        {
            GatewayVerdict? own = _rechecks.Verdict(verdict.Address);
            GatewayVerdict result = verdict.IsUnproven ? Prove(verdict, own)
                : own is { Health: not GatewayHealth.Unknown } && (verdict.Overloaded || own.Overloaded) ? own with { Foreign = verdict.Foreign }
                : verdict;
            all.Add(result);
            if (verdict.Health == GatewayHealth.Passing && result.Health == GatewayHealth.Passing) proven.Add(verdict.Address);
        }

        foreach (string address in absent)
        {
            if (_rechecks.Verdict(address) is not { Health: not GatewayHealth.Unknown } own) continue;
            all.Add(own);
            if (own.Health == GatewayHealth.Passing) proven.Add(address);
        }

        // One probe is enough, and what a later one says would not count.
        HashSet<string> done = verdicts.Where(v => v.IsUnproven && proven.Contains(v.Address)).Select(static v => v.Address).ToHashSet(StringComparer.Ordinal);
        _rechecks.Stop(done.Contains);
        _proven = proven;
        TellHidden([.. absent.Where(proven.Contains)], options.Pushgateway.HealthCheck.Interval + options.Pushgateway.HealthCheck.Timeout);
        all.Sort(static (a, b) => string.CompareOrdinal(a.Address, b.Address));
        return all.ToImmutable();
    }

    private GatewayVerdict Prove(GatewayVerdict verdict, GatewayVerdict? own)
    {
        if (_proven.Contains(verdict.Address) || own?.Health == GatewayHealth.Passing)
        {
            return verdict with { Output = "no check in Consul has run; a probe of our own passed" };
        }

        string ours = own?.Output is { } output ? ", and a probe of our own failed: " + output : ", and no probe of our own has passed yet";
        return verdict with { Health = GatewayHealth.Unknown, Output = GatewayVerdict.Shorten("passing in Consul without a check's output" + ours) };
    }

    /// <summary>A registration that is on its way is absent as well, for a moment: only what lasts is told.</summary>
    private void TellHidden(IReadOnlyCollection<string> absent, TimeSpan grace)
    {
        foreach (string address in _absentSince.Keys.Except(absent, StringComparer.Ordinal).ToArray()) _absentSince.Remove(address);
        foreach (string address in absent) _absentSince.TryAdd(address, _time.GetTimestamp());

        var hidden = new List<string>();
        foreach ((string address, long since) in _absentSince)
        {
            TimeSpan rest = grace - _time.GetElapsedTime(since);
            if (rest <= TimeSpan.Zero) hidden.Add(address);
            else if (_due is null || rest < _due) _due = rest;
        }

        // A timer counts whole milliseconds and may be early by a part of one.
        if (_due is { } due) _due = due + TimeSpan.FromMilliseconds(1);
        hidden.Sort(StringComparer.Ordinal);
        IReadOnlyList<string> before = _hidden;
        foreach (string address in hidden.Except(before, StringComparer.Ordinal)) Log.GatewayHidden(_logger, address, ConsulFailures.HiddenAdvice);
        foreach (string address in before.Except(hidden, StringComparer.Ordinal)) Log.GatewayNotHidden(_logger, address);
        _hidden = hidden;
    }

    /// <summary>One that is not allowed gets no request of ours.</summary>
    private void StopRefused()
    {
        ServerOptions options = _options;
        HashSet<string> named = options.Pushgateway.Servers.ToHashSet(StringComparer.Ordinal);
        _rechecks.Stop(address => !options.Membership.Allow.Allows(address, named.Contains(address)));
    }

    /// <summary>
    /// Without health checks every configured gateway is a member, whatever check an earlier registration left behind; only an operator's
    /// maintenance counts.
    /// </summary>
    private ImmutableArray<GatewayVerdict> AcceptConsulStatus(ImmutableArray<GatewayVerdict> verdicts, ImmutableArray<string> servers)
    {
        _rechecks.Update([], _options.Pushgateway.HealthCheck);
        TellHidden([], TimeSpan.Zero);
        var all = new SortedDictionary<string, GatewayVerdict>(verdicts.ToDictionary(static v => v.Address, StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (string address in servers)
        {
            if (all.TryGetValue(address, out GatewayVerdict? verdict) && verdict.Health == GatewayHealth.Maintenance) continue;
            all[address] = new GatewayVerdict(address, GatewayHealth.Passing, false, "not checked") { Foreign = verdict?.Foreign ?? false };
        }

        return [.. all.Values];
    }

    /// <summary>Each address once, and not without end: the list comes from elsewhere.</summary>
    private void Warn(string address)
    {
        Interlocked.Increment(ref _skipped);
        if (_warned.Count < MaxWarnedAddresses && _warned.Add(address)) Log.InvalidAddressSkipped(_logger, GatewayVerdict.Shorten(address) ?? "");
    }
}
