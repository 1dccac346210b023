using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Diagnostics;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// The gateways are those that Consul knows, and Consul's checks judge them. Until its first answer that names any, the configured ones
/// are judged by probes of our own.
/// </summary>
internal sealed class ConsulGatewaySource : IGatewaySource
{
    private const int MaxWarnedAddresses = 100;

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

    /// <summary>One slot: something is to be judged anew, be it rows, settings or a probe's finding.</summary>
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Small: the listener is never far behind, and a writer may wait.</summary>
    private readonly Channel<GatewayReport> _reports = Channel.CreateBounded<GatewayReport>(4);

    private volatile PushgatewayOptions _options;

    /// <summary>Consul's last answer; null while there is none.</summary>
    private volatile List<ServiceEntry>? _rows;

    private List<ServiceEntry>? _judged;
    private GatewayReport? _last;
    private volatile bool _adopted;
    private long _skipped;

    public ConsulGatewaySource(ServerOptions options, ILogger logger, TimeProvider time)
    {
        _logger = logger;
        _options = options.Pushgateway;
        _token = new ConsulToken(options.Consul);
        _client = ConsulConnection.Open(options.Consul, _token.Current, time);
        _watch = new ConsulWatch(options.Consul, _token.Current, logger, time);
        _registrar = new ConsulRegistrar(_client, _token.Current, options, logger, time);
        _probes = new StaticGatewaySource(options, time);
        _rechecks = new ProbeSet(options.Pushgateway, Notify, time);
    }

    public DiscoveryStatus Status => _watch.Status with
    {
        SkippedAddresses = Interlocked.Read(ref _skipped),
        RegistrationWrites = _registrar.Writes,
        RegistrationFailures = _registrar.Failures,
    };

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task registering = Task.Run(() => _registrar.RunAsync(stop.Token), CancellationToken.None);
        Task probing = _adopted ? Task.CompletedTask : Task.Run(() => ForwardProbesAsync(stop.Token), CancellationToken.None).Watched(_logger, "probes before Consul's first response");
        Task judging = Task.Run(() => JudgeAsync(probing, stop.Token), CancellationToken.None);
        Task watching = Task.Run(() => _watch.RunAsync(Answered, Lost, _registrar.ReconcileNow, stop.Token), CancellationToken.None);
        try
        {
            while (true)
            {
                // These end by themselves only through a bug of ours: the listener hears of it and watches anew.
                Task<bool> available = _reports.Reader.WaitToReadAsync(ct).AsTask();
                await (await Task.WhenAny(available, judging, registering, watching).ConfigureAwait(false)).ConfigureAwait(false);
                while (_reports.Reader.TryRead(out GatewayReport? report)) yield return report;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(registering, probing, judging, watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Apply(ServerOptions options)
    {
        _options = options.Pushgateway;
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

    private void Answered(List<ServiceEntry> rows)
    {
        _rows = rows;
        Notify();
    }

    private void Lost()
    {
        _rows = null;
        Notify();
    }

    private async Task ForwardProbesAsync(CancellationToken ct)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, _probing.Token);
        await foreach (GatewayReport report in _probes.WatchAsync(either.Token).ConfigureAwait(false))
        {
            await _reports.Writer.WriteAsync(report, either.Token).ConfigureAwait(false);
        }
    }

    private async Task JudgeAsync(Task probing, CancellationToken ct)
    {
        while (true)
        {
            await _news.Reader.ReadAsync(ct).ConfigureAwait(false);
            GatewayReport report = Judge();
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
            else if (_last is { Interrupted: false } last && last.Patience == report.Patience && last.Verdicts.SequenceEqual(report.Verdicts))
            {
                continue;
            }

            _last = report;
            await _reports.Writer.WriteAsync(report, ct).ConfigureAwait(false);
        }
    }

    private GatewayReport Judge()
    {
        if (_rows is not { } rows) return GatewayReport.Interruption;
        PushgatewayOptions options = _options;
        HealthCheckOptions check = options.HealthCheck;
        var skipped = new List<string>();
        ImmutableArray<GatewayVerdict> verdicts = ConsulJudge.Judge(rows, check.OverloadIsHealthy, skipped);
        if (!ReferenceEquals(rows, _judged))
        {
            foreach (string address in skipped) Warn(address);

            // One of ours that lost its registration must be back before the patience with it ends, which is sooner than the registrar's period.
            if (!verdicts.IsEmpty && options.Servers.Except(verdicts.Select(static v => v.Address), StringComparer.Ordinal).Any()) _registrar.ReconcileNow();
            _judged = rows;
        }

        if (verdicts.IsEmpty) return GatewayReport.Interruption;
        verdicts = check.Enabled ? Recheck(verdicts, check) : Trust(verdicts, options.Servers);
        return new GatewayReport(verdicts, (2 * check.Interval) + check.Timeout);
    }

    /// <summary>
    /// An agent passes on a changed status at once, but a mere change of the output up to five minutes later. So Consul cannot be asked whether
    /// a gateway that was overloaded has died since, nor whether one whose first check was critical is dead or overloaded: this process asks
    /// such gateways itself. Without a verdict of Consul's, only an overload is believed.
    /// </summary>
    private ImmutableArray<GatewayVerdict> Recheck(ImmutableArray<GatewayVerdict> verdicts, HealthCheckOptions check)
    {
        _rechecks.Align([.. verdicts.Where(static v => v.Overloaded || v.Health == GatewayHealth.Unknown).Select(static v => v.Address)], check);
        return [.. verdicts.Select(v => _rechecks.Verdict(v.Address) is { Health: not GatewayHealth.Unknown } own && (v.Overloaded || own.Overloaded) ? own : v)];
    }

    /// <summary>
    /// Without health checks every configured gateway is a member, whatever check an earlier registration left behind; only an operator's
    /// maintenance counts.
    /// </summary>
    private ImmutableArray<GatewayVerdict> Trust(ImmutableArray<GatewayVerdict> verdicts, ImmutableArray<string> servers)
    {
        _rechecks.Align([], _options.HealthCheck);
        var all = new SortedDictionary<string, GatewayVerdict>(verdicts.ToDictionary(static v => v.Address, StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (string address in servers)
        {
            if (all.TryGetValue(address, out GatewayVerdict? verdict) && verdict.Health == GatewayHealth.Maintenance) continue;
            all[address] = new GatewayVerdict(address, GatewayHealth.Passing, false, "not checked");
        }

        return [.. all.Values];
    }

    /// <summary>Each address once, and not without end: the list comes from elsewhere.</summary>
    private void Warn(string address)
    {
        Interlocked.Increment(ref _skipped);
        if (_warned.Count < MaxWarnedAddresses && _warned.Add(address)) Log.ConsulAddressSkipped(_logger, GatewayVerdict.Shorten(address) ?? "");
    }
}
