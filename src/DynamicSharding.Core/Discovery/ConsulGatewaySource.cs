using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using DynamicSharding.Outbound;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// The gateways are the instances that Consul lists, with the health that its checks report. Until its first response that lists any, the
/// gateways are the configured ones, with the health that our own probes report.
/// </summary>
internal sealed class ConsulGatewaySource : IGatewaySource
{
    private const int MaxWarnedAddresses = 100;

    /// <summary>
    /// How long Consul has for its first response before the configured gateways are probed. When a whole fleet starts, each of its instances would
    /// connect to each gateway for nothing.
    /// </summary>
    private static readonly TimeSpan ProbeGrace = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ConsulClient _client;
    private readonly ConsulToken _token;
    private readonly ConsulWatch _watch;
    private readonly ConsulRegistrar _registrar;
    private readonly ProbeFallback _probes;
    private readonly SpellingWatch _spellings;
    private readonly ConsulWeights _weights;
    private readonly HashSet<string> _warned = [];

    /// <summary>Unbounded, but read at once, and only as fast as Consul responds and probes change their minds.</summary>
    private readonly Channel<DiscoveryEvent> _events = Channel.CreateUnbounded<DiscoveryEvent>();

    private volatile ServerOptions _options;

    /// <summary>Consul's last usable response; null while there is none.</summary>
    private DiscoveryEvent.Response? _response;
    private GatewayReport? _last;

    /// <summary>Consul has had its time, or has failed.</summary>
    private volatile bool _probesAll;

    /// <summary>Consul has responded once, and reports are based on what it says.</summary>
    private volatile bool _adopted;
    private long _skipped;

    /// <param name="tls">Of the gateways; null for plain HTTP.</param>
    public ConsulGatewaySource(ServerOptions options, ILogger logger, TimeProvider time, GatewayTls? tls = null)
    {
        _logger = logger;
        _time = time;
        _options = options;
        _token = new ConsulToken(options.Consul);
        _client = ConsulConnection.Open(options.Consul, _token.Current, time);
        _watch = new ConsulWatch(options.Consul, _token.Current, options.Sharding, _events.Writer, logger, time);
        _spellings = new SpellingWatch(options.Sharding.Key, logger);
        _weights = new ConsulWeights(logger);
        _registrar = new ConsulRegistrar(_client, _token.Current, options, logger, time, _spellings);
        _probes = new ProbeFallback(options.Pushgateway, Notify, logger, time, tls);
    }

    public DiscoveryStatus Status => _watch.Status with
    {
        SkippedAddresses = Interlocked.Read(ref _skipped),
        HiddenGateways = [.. _probes.Hidden],
        RegistrationWrites = _registrar.Writes,
        RegistrationFailures = _registrar.Failures,
        RegistrationError = _registrar.LastError,
    };

    /// <summary>A blocking query returns nothing for a minute both when nothing changes and when Consul has fallen silent.</summary>
    public bool NeedsConfirmation => _adopted;

    public bool IsUpToDate => !_adopted || _watch.IsWaiting;

    public void Confirm() => _events.Writer.TryWrite(new DiscoveryEvent.ConfirmationRequested());

    public void Apply(ServerOptions options)
    {
        _options = options;
        _token.Apply(options.Consul);
        _registrar.Apply(options);

        // The next response may be a minute away: evaluate the last one with the new settings now.
        Notify();
    }

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task registering = Task.Run(() => _registrar.RunAsync(stop.Token), CancellationToken.None);
        Task watching = Task.Run(() => _watch.RunAsync(stop.Token), CancellationToken.None);
        Task confirming = Task.CompletedTask;
        await using ITimer grace = _time.CreateTimer(_ => ProbeAll(), null, ProbeGrace, Timeout.InfiniteTimeSpan);
        try
        {
            if (NextReport(isNews: false, isConfirmation: false) is { } first) yield return first;
            while (true)
            {
                // The other two end only because of a bug: the caller logs it and starts over.
                Task available = _events.Reader.WaitToReadAsync(ct).AsTask();
                await (await Task.WhenAny(available, watching, registering).ConfigureAwait(false)).ConfigureAwait(false);
                bool isNews = false, isConfirmation = false;
                while (_events.Reader.TryRead(out DiscoveryEvent? item))
                {
                    switch (item)
                    {
                        case DiscoveryEvent.Response response:
                            _response = response;
                            _registrar.Observe(response.Rows);
                            if (response.IsConfirmation) isConfirmation = true;
                            else isNews = true;
                            break;
                        case DiscoveryEvent.NoResponse { IsEmpty: var isEmpty }:
                            _response = null;
                            _probesAll = true;
                            if (isEmpty) _registrar.Observe([]);
                            break;
                        case DiscoveryEvent.RegistrationsInDoubt:
                            _registrar.ReconcileNow();
                            break;
                        case DiscoveryEvent.ConfirmationRequested when confirming.IsCompleted:
                            confirming = Task.Run(() => _watch.ConfirmAsync(_client, stop.Token), CancellationToken.None).LogFailure(_logger, "confirmation by Consul");
                            break;
                    }
                }

                if (NextReport(isNews, isConfirmation) is { } report) yield return report;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(registering, watching, confirming).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _probes.DisposeAsync().ConfigureAwait(false);
        _watch.Dispose();
        _client.Dispose();
    }

    private void ProbeAll()
    {
        _probesAll = true;
        Notify();
    }

    private void Notify() => _events.Writer.TryWrite(new DiscoveryEvent.Changed());

    /// <param name="isNews">The watch got a response since the last call.</param>
    /// <param name="isConfirmation">Membership waits for a report, even for one that repeats the last.</param>
    /// <returns>Null when there is nothing to report.</returns>
    private GatewayReport? NextReport(bool isNews, bool isConfirmation)
    {
        ServerOptions options = _options;

        // Even when there is nothing to evaluate: a reload may refuse a gateway that is being probed.
        _probes.StopRefused(options);
        ImmutableArray<GatewayVerdict> verdicts = _response is { } response ? Evaluate(response.Rows, isNews, options) : [];
        GatewayReport report;
        if (!verdicts.IsEmpty)
        {
            HealthCheckOptions check = options.Pushgateway.HealthCheck;

            // What the probes said in place of Consul must not outlive its first response.
            if (!_adopted) _probes.StopAll();
            report = new GatewayReport(_probes.Complete(verdicts, options), (2 * check.Interval) + check.Timeout)
            {
                MustBeFresh = true,
                ReceivedAt = _response!.ReceivedAt,
                Adopt = !_adopted,
            };
            _adopted = true;
        }
        else if (_adopted)
        {
            report = GatewayReport.Interruption;
        }
        else
        {
            if (!_probesAll) return null;
            report = _probes.ProbeAll(options.Pushgateway) with { Provisional = true };
        }

        bool isRepeated = _last is { } last && last.Interrupted == report.Interrupted && last.VerdictTimeout == report.VerdictTimeout
            && last.Verdicts.SequenceEqual(report.Verdicts);
        if (isRepeated && (!isConfirmation || report.Interrupted)) return null;
        _last = report;
        return report;
    }

    private ImmutableArray<GatewayVerdict> Evaluate(List<ServiceEntry> rows, bool isNews, ServerOptions options)
    {
        var skipped = new List<string>();
        ImmutableArray<GatewayVerdict> verdicts = ConsulHealthEvaluator.Evaluate(rows, options.Pushgateway.HealthCheck.OverloadIsHealthy, skipped, _spellings.Key);
        if (options.Sharding.ConsulWeights) verdicts = _weights.AddTo(verdicts, rows, _spellings.Key);
        if (!isNews) return verdicts;
        foreach (string address in skipped) WarnAboutAddress(address);
        _spellings.Check(rows);
        return verdicts;
    }

    /// <summary>Once per address, and not for endless addresses: anybody can register them.</summary>
    private void WarnAboutAddress(string address)
    {
        Interlocked.Increment(ref _skipped);
        if (_warned.Count < MaxWarnedAddresses && _warned.Add(address)) Log.InvalidAddressSkipped(_logger, GatewayVerdict.Shorten(address) ?? "");
    }
}
