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
    private readonly CancellationTokenSource _probing = new();
    private readonly HashSet<string> _warned = [];

    /// <summary>Small: the listener is never far behind, and a writer may wait.</summary>
    private readonly Channel<GatewayReport> _reports = Channel.CreateBounded<GatewayReport>(4);

    private volatile PushgatewayOptions _options;
    private GatewayReport? _last;
    private bool _adopted;
    private long _skipped;

    public ConsulGatewaySource(ServerOptions options, ILogger logger, TimeProvider time)
    {
        _logger = logger;
        _options = options.Pushgateway;
        _token = new ConsulToken(options.Consul);
        _client = ConsulConnection.Open(options.Consul, _token.Current, time);
        _watch = new ConsulWatch(_client, options.Consul, logger, time);
        _registrar = new ConsulRegistrar(_client, _token.Current, options, logger, time);
        _probes = new StaticGatewaySource(options, time);
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
        Task probing = Task.Run(() => ForwardProbesAsync(stop.Token), CancellationToken.None);
        Task watching = Task.Run(
            () => _watch.RunAsync(rows => AnsweredAsync(rows, probing, stop.Token), () => LostAsync(stop.Token), _registrar.ReconcileNow, stop.Token),
            CancellationToken.None);
        try
        {
            while (true) yield return await _reports.Reader.ReadAsync(ct).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(registering, probing, watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Apply(ServerOptions options)
    {
        _options = options.Pushgateway;
        _token.Apply(options.Consul);
        _probes.Apply(options);
        _registrar.Apply(options);
    }

    public async ValueTask DisposeAsync()
    {
        await _probes.DisposeAsync().ConfigureAwait(false);
        _client.Dispose();
        _probing.Dispose();
    }

    private async Task ForwardProbesAsync(CancellationToken ct)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, _probing.Token);
        await foreach (GatewayReport report in _probes.WatchAsync(either.Token).ConfigureAwait(false))
        {
            await _reports.Writer.WriteAsync(report, either.Token).ConfigureAwait(false);
        }
    }

    private async Task AnsweredAsync(List<ServiceEntry> rows, Task probing, CancellationToken ct)
    {
        PushgatewayOptions options = _options;
        var skipped = new List<string>();
        ImmutableArray<GatewayVerdict> verdicts = ConsulJudge.Judge(rows, options.HealthCheck.OverloadIsHealthy, skipped);
        foreach (string address in skipped) Warn(address);
        if (verdicts.IsEmpty)
        {
            await LostAsync(ct).ConfigureAwait(false);
            return;
        }

        // One of ours that lost its registration must be back before the patience with it ends, which is sooner than the registrar's period.
        if (options.Servers.Except(verdicts.Select(static v => v.Address), StringComparer.Ordinal).Any()) _registrar.ReconcileNow();

        HealthCheckOptions check = options.HealthCheck;
        if (!check.Enabled) verdicts = Trust(verdicts, options.Servers);
        var report = new GatewayReport(verdicts, (2 * check.Interval) + check.Timeout) { Adopt = !_adopted };
        if (!_adopted)
        {
            // No probe's report may come after the first of Consul's: the forwarding has ended before that is written.
            _adopted = true;
            await _probing.CancelAsync().ConfigureAwait(false);
            await probing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await _probes.DisposeAsync().ConfigureAwait(false);
        }
        else if (_last is { Interrupted: false } last && last.Patience == report.Patience && last.Verdicts.SequenceEqual(verdicts))
        {
            return;
        }

        _last = report;
        await _reports.Writer.WriteAsync(report, ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Without health checks every configured gateway is a member, whatever check an earlier registration left behind; only an operator's
    /// maintenance counts.
    /// </summary>
    private static ImmutableArray<GatewayVerdict> Trust(ImmutableArray<GatewayVerdict> verdicts, ImmutableArray<string> servers)
    {
        var all = new SortedDictionary<string, GatewayVerdict>(verdicts.ToDictionary(static v => v.Address, StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (string address in servers)
        {
            if (all.TryGetValue(address, out GatewayVerdict? verdict) && verdict.Health == GatewayHealth.Maintenance) continue;
            all[address] = new GatewayVerdict(address, GatewayHealth.Passing, false, "not checked");
        }

        return [.. all.Values];
    }

    private async Task LostAsync(CancellationToken ct)
    {
        // Before the first answer the probes are the judge, and they go on.
        if (!_adopted || _last is { Interrupted: true }) return;
        _last = GatewayReport.Interruption;
        await _reports.Writer.WriteAsync(GatewayReport.Interruption, ct).ConfigureAwait(false);
    }

    /// <summary>Each address once, and not without end: the list comes from elsewhere.</summary>
    private void Warn(string address)
    {
        Interlocked.Increment(ref _skipped);
        if (_warned.Count < MaxWarnedAddresses && _warned.Add(address)) Log.ConsulAddressSkipped(_logger, GatewayVerdict.Shorten(address) ?? "");
    }
}
