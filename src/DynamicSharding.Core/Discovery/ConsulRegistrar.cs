using System.Collections.Immutable;
using System.Net;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using DynamicSharding.Outbound;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Keeps the configured gateways registered. It reads first and writes only what is missing or different, because a blind write resets the
/// counters and clocks of a check. See docs/decisions/0005-registration.md.
/// </summary>
internal sealed class ConsulRegistrar
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ReapFloor = TimeSpan.FromMinutes(1);

    private readonly ConsulClient _client;
    private readonly Func<string?> _token;
    private readonly string _service;
    private readonly ShardingKey _key;
    private readonly SpellingWatch _spellings;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff = new(Random.Shared);

    /// <summary>One slot: a wish to reconcile now.</summary>
    private readonly Channel<bool> _now = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Guards what a reload changes: the options, and what is to be deregistered.</summary>
    private readonly Lock _gate = new();

    private readonly HashSet<string> _leaving = new(StringComparer.Ordinal);

    /// <summary>What this process wrote last, by id: a definition of somebody else's in its place is replaced once and then left alone.</summary>
    private readonly Dictionary<string, AgentServiceRegistration> _written = new(StringComparer.Ordinal);

    private PushgatewayOptions _options;
    private SecretFile? _password;
    private bool _thresholds = true;
    private bool _warnedOfStrays;
    private string? _failure;
    private long _writes, _failures;

    public ConsulRegistrar(
        ConsulClient client, Func<string?> token, ServerOptions options, ILogger logger, TimeProvider time, SpellingWatch? spellings = null)
    {
        _client = client;
        _token = token;
        _service = options.Consul.RegisterServiceName;
        _key = options.Sharding.Key;
        _spellings = spellings ?? new SpellingWatch(_key, logger);
        _logger = logger;
        _time = time;
        _options = options.Pushgateway;
        _password = options.Pushgateway.BasicAuthPasswordFile is { } file ? new SecretFile(file) : null;
        WarnAboutMinimum(_options);
    }

    public long Writes => Interlocked.Read(ref _writes);

    public long Failures => Interlocked.Read(ref _failures);

    public void ReconcileNow() => _now.Writer.TryWrite(true);

    /// <summary>What the old file had and the new one has not is deregistered; nothing else ever is.</summary>
    public void Apply(ServerOptions options)
    {
        lock (_gate)
        {
            // A file that names nobody leaves the naming to Consul: what is registered stays.
            if (!options.Pushgateway.Servers.IsEmpty) _leaving.UnionWith(_options.Servers);
            _leaving.ExceptWith(options.Pushgateway.Servers);
            _options = options.Pushgateway;
            _password = options.Pushgateway.BasicAuthPasswordFile is { } file ? new SecretFile(file) : null;
        }

        WarnAboutMinimum(options.Pushgateway);
        ReconcileNow();
    }

    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            TimeSpan pause;
            try
            {
                await ReconcileAsync(ct).ConfigureAwait(false);
                if (_failure is not null) Log.RegistrationRecovered(_logger, _service);
                _failure = null;
                _backoff.Reset();

                // Edges that started together spread over the period.
                pause = Period * (0.8 + (0.4 * Random.Shared.NextDouble()));
            }
            catch (Exception ex) when (!ct.IsCancellationRequested)
            {
                Interlocked.Increment(ref _failures);
                LogFailure(ex);
                pause = _backoff.Next((ex as ConsulRequestException)?.RetryAfter);
            }

            await PauseAsync(pause, ct).ConfigureAwait(false);
        }
    }

    private async Task ReconcileAsync(CancellationToken ct)
    {
        PushgatewayOptions options;
        string? password;
        ImmutableArray<string> leaving;
        lock (_gate)
        {
            options = _options;
            password = _password?.Current();
            leaving = [.. _leaving];
        }

        IReadOnlyDictionary<string, AgentService> present = await _client.Agent.Services(ct).ConfigureAwait(false);
        WarnAboutUnknownInstances(present, options.Servers);
        foreach (string address in leaving)
        {
            string id = GatewayRegistration.Id(address);
            foreach (string registered in present.Where(p => IsOf(p.Value, p.Key, address)).Select(static p => p.Key))
            {
                await _client.Agent.ServiceDeregister(registered, ct).ConfigureAwait(false);
                Interlocked.Increment(ref _writes);
                Log.GatewayDeregistered(_logger, address, registered);
            }

            _written.Remove(id);
            lock (_gate) _leaving.Remove(address);
        }

        foreach (string address in options.Servers)
        {
            AgentServiceRegistration wanted = GatewayRegistration.Describe(address, _service, options, password, _token(), _thresholds);
            if (IsRegistered(present.GetValueOrDefault(wanted.ID), wanted)) continue;
            await RegisterAsync(address, wanted, options, password, ct).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// True when there is nothing to write: it is there as we want it, or somebody replaced what we wrote (an original that started later,
    /// an edge with another configuration). Two that both insisted would rewrite the check for ever.
    /// </summary>
    private bool IsRegistered(AgentService? present, AgentServiceRegistration wanted)
    {
        if (present is null) return false;
        bool unchanged = _written.TryGetValue(wanted.ID, out AgentServiceRegistration? written)
            && written.Meta?[GatewayRegistration.Digest] == wanted.Meta?[GatewayRegistration.Digest]
            && written.Check?.Header?["Authorization"][0] == wanted.Check?.Header?["Authorization"][0];
        if (unchanged) return true;
        bool same = present.Service == wanted.Name && present.Address == wanted.Address && present.Port == wanted.Port
            && present.Meta?.GetValueOrDefault(GatewayRegistration.Digest) == wanted.Meta?[GatewayRegistration.Digest];

        // With credentials the check cannot be compared: the first round writes it.
        return same && wanted.Check?.Header is null;
    }

    private async Task RegisterAsync(
        string address, AgentServiceRegistration wanted, PushgatewayOptions options, string? password, CancellationToken ct)
    {
        try
        {
            await _client.Agent.ServiceRegister(wanted, ct).ConfigureAwait(false);
        }
        catch (ConsulRequestException ex) when (_thresholds && IsUnknownThreshold(ex))
        {
            _thresholds = false;
            Log.RegistrationWithoutThresholds(_logger, ex.Text);
            wanted = GatewayRegistration.Describe(address, _service, options, password, _token(), thresholds: false);
            await _client.Agent.ServiceRegister(wanted, ct).ConfigureAwait(false);
        }

        _written[wanted.ID] = wanted;
        Interlocked.Increment(ref _writes);
        Log.GatewayRegistered(_logger, address, wanted.ID);
    }

    private static bool IsUnknownThreshold(ConsulRequestException ex) =>
        ex.StatusCode == HttpStatusCode.BadRequest
        && ex.Text.Contains("unknown field", StringComparison.Ordinal)
        && (ex.Text.Contains(nameof(AgentServiceCheck.SuccessBeforePassing), StringComparison.Ordinal)
            || ex.Text.Contains(nameof(AgentServiceCheck.FailuresBeforeCritical), StringComparison.Ordinal));

    /// <summary>Nothing is deregistered at start: during a rolling change the others' files may still name it.</summary>
    private void WarnAboutUnknownInstances(IReadOnlyDictionary<string, AgentService> present, ImmutableArray<string> servers)
    {
        if (_warnedOfStrays) return;
        _warnedOfStrays = true;
        var ours = servers.Select(GatewayRegistration.Id).ToHashSet(StringComparer.Ordinal);
        var addresses = servers.ToHashSet(StringComparer.Ordinal);
        foreach ((string id, AgentService service) in present)
        {
            bool marked = service.Meta?.GetValueOrDefault(GatewayRegistration.Marker) == GatewayRegistration.MarkerValue;
            if (!marked || service.Service != _service || ours.Contains(id)) continue;
            string address = IdentityOf(service);
            if (addresses.Contains(address)) _spellings.Warn(address, GatewayRegistration.Id(address), id);
            else Log.UnknownRegistration(_logger, id);
        }
    }

    /// <summary>
    /// Also in another spelling, when it is marked as ours: an older version registered addresses as its file spelled them, and such a row
    /// that outlived the gateway's removal would keep the gateway in the ring.
    /// </summary>
    private bool IsOf(AgentService service, string id, string address) =>
        service.Service == _service
        && (id == GatewayRegistration.Id(address)
            || (service.Meta?.GetValueOrDefault(GatewayRegistration.Marker) == GatewayRegistration.MarkerValue && IdentityOf(service) == address));

    private string IdentityOf(AgentService service) =>
        GatewayAddress.TryFormat(service.Address, service.Port, _key, out string address) ? address : "";

    private void WarnAboutMinimum(PushgatewayOptions options)
    {
        if (options.HealthCheck.DeregisterCriticalAfter is { } after && after < ReapFloor) Log.DeregisterAfterBelowMinimum(_logger, GoDuration.Format(after));
    }

    private void LogFailure(Exception failure)
    {
        // Retries of the same failure are not news.
        string text = failure.Message;
        if (text == _failure) return;
        _failure = text;
        Log.RegistrationFailed(_logger, text, ConsulFailures.Advice(ConsulFailures.Of(failure), _service));
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken ct)
    {
        using var expiry = new CancellationTokenSource(pause, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            await _now.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
        }
    }
}
