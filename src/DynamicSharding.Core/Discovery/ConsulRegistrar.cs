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
/// Keeps the configured gateways registered. It reads first and writes only what is missing or different, because every write resets the
/// counters and timers of a check. See docs/decisions/0005-registration.md.
/// </summary>
internal sealed class ConsulRegistrar
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MinDeregisterAfter = TimeSpan.FromMinutes(1);

    private readonly ConsulClient _client;
    private readonly Func<string?> _token;
    private readonly string _service;
    private readonly ShardingKey _key;
    private readonly bool _consulWeights;
    private readonly SpellingWatch _spellings;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff = new(Random.Shared);

    /// <summary>One slot: a request to reconcile now.</summary>
    private readonly Channel<bool> _requests = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Guards what a reload changes: the options, and which gateways to deregister.</summary>
    private readonly Lock _lock = new();

    private readonly HashSet<string> _leaving = new(StringComparer.Ordinal);

    /// <summary>What this process wrote last, by id: another process's definition in its place is replaced once and then left alone.</summary>
    private readonly Dictionary<string, AgentServiceRegistration> _written = new(StringComparer.Ordinal);

    private PushgatewayOptions _options;
    private GatewayCredentials? _credentials;
    private bool _supportsThresholds = true;
    private bool _checkedForStrays;
    private string? _failure;
    private long _writes, _failures;

    public ConsulRegistrar(
        ConsulClient client, Func<string?> token, ServerOptions options, ILogger logger, TimeProvider time, SpellingWatch? spellings = null)
    {
        _client = client;
        _token = token;
        _service = options.Consul.RegisterServiceName;
        _key = options.Sharding.Key;
        _consulWeights = options.Sharding.ConsulWeights;
        _spellings = spellings ?? new SpellingWatch(_key, logger);
        _logger = logger;
        _time = time;
        _options = options.Pushgateway;
        _credentials = GatewayCredentials.From(_options);
        WarnAboutMinimum(_options);
    }

    public long Writes => Interlocked.Read(ref _writes);

    public long Failures => Interlocked.Read(ref _failures);

    public void ReconcileNow() => _requests.Writer.TryWrite(true);

    /// <summary>Deregisters the gateways that the new file no longer names. Nothing else is ever deregistered.</summary>
    public void Apply(ServerOptions options)
    {
        lock (_lock)
        {
            // A file without gateways leaves them to Consul: what is registered stays.
            if (!options.Pushgateway.Servers.IsEmpty) _leaving.UnionWith(_options.Servers);
            _leaving.ExceptWith(options.Pushgateway.Servers);
            _options = options.Pushgateway;
            _credentials = GatewayCredentials.From(_options);
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

                // Spreads out instances that started together.
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
        string? authorization;
        ImmutableArray<string> leaving;
        lock (_lock)
        {
            options = _options;
            authorization = _credentials?.Authorization();
            leaving = [.. _leaving];
        }

        IReadOnlyDictionary<string, AgentService> present = await _client.Agent.Services(ct).ConfigureAwait(false);
        WarnAboutStrays(present, options.Servers);
        foreach (string address in leaving)
        {
            foreach (string id in present.Where(p => IsRegistrationOf(p.Value, p.Key, address)).Select(static p => p.Key))
            {
                await _client.Agent.ServiceDeregister(id, ct).ConfigureAwait(false);
                Interlocked.Increment(ref _writes);
                Log.GatewayDeregistered(_logger, address, id);
            }

            _written.Remove(GatewayRegistration.Id(address));
            lock (_lock) _leaving.Remove(address);
        }

        foreach (string address in options.Servers)
        {
            AgentServiceRegistration wanted = GatewayRegistration.Describe(address, _service, options, authorization, _token(), _supportsThresholds, _consulWeights);
            if (IsRegistered(present.GetValueOrDefault(wanted.ID), wanted)) continue;
            await RegisterAsync(address, wanted, options, authorization, ct).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// True when there is nothing to write: the registration is as we want it, or another process (an original that started later, an
    /// instance with another configuration) replaced ours. Two that both insist would rewrite the check forever.
    /// </summary>
    private bool IsRegistered(AgentService? present, AgentServiceRegistration wanted)
    {
        if (present is null) return false;
        bool isWritten = _written.TryGetValue(wanted.ID, out AgentServiceRegistration? written)
            && GatewayRegistration.Digest(written.Meta) == GatewayRegistration.Digest(wanted.Meta)
            && written.Check?.Header?["Authorization"][0] == wanted.Check?.Header?["Authorization"][0];
        if (isWritten) return true;

        // The list does not include a check's credentials, so the first round writes a check that has some.
        return wanted.Check?.Header is null
            && present.Service == wanted.Name && present.Address == wanted.Address && present.Port == wanted.Port
            && GatewayRegistration.Digest(present.Meta) == GatewayRegistration.Digest(wanted.Meta);
    }

    private async Task RegisterAsync(
        string address, AgentServiceRegistration wanted, PushgatewayOptions options, string? authorization, CancellationToken ct)
    {
        try
        {
            await _client.Agent.ServiceRegister(wanted, ct).ConfigureAwait(false);
        }
        catch (ConsulRequestException ex) when (_supportsThresholds && IsUnknownThreshold(ex))
        {
            _supportsThresholds = false;
            Log.RegistrationWithoutThresholds(_logger, ex.Text);
            wanted = GatewayRegistration.Describe(address, _service, options, authorization, _token(), thresholds: false, _consulWeights);
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

    /// <summary>Nothing is deregistered at the start: during a rolling change other instances' files may still name the gateway.</summary>
    private void WarnAboutStrays(IReadOnlyDictionary<string, AgentService> present, ImmutableArray<string> servers)
    {
        if (_checkedForStrays) return;
        _checkedForStrays = true;
        var ours = servers.Select(GatewayRegistration.Id).ToHashSet(StringComparer.Ordinal);
        var addresses = servers.ToHashSet(StringComparer.Ordinal);
        foreach ((string id, AgentService service) in present)
        {
            if (!GatewayRegistration.IsMarked(service) || service.Service != _service || ours.Contains(id)) continue;
            string address = IdentityOf(service);
            if (addresses.Contains(address)) _spellings.Warn(address, GatewayRegistration.Id(address), id);
            else Log.UnknownRegistration(_logger, id);
        }
    }

    /// <summary>
    /// A marked registration may have another spelling: an older version registered addresses as its file spelled them. Left behind, such a
    /// row would keep the removed gateway in the ring.
    /// </summary>
    private bool IsRegistrationOf(AgentService service, string id, string address) =>
        service.Service == _service
        && (id == GatewayRegistration.Id(address) || (GatewayRegistration.IsMarked(service) && IdentityOf(service) == address));

    private string IdentityOf(AgentService service) =>
        GatewayAddress.TryFormat(service.Address, service.Port, _key, out string address) ? address : "";

    private void WarnAboutMinimum(PushgatewayOptions options)
    {
        if (options.HealthCheck.DeregisterCriticalAfter is { } after && after < MinDeregisterAfter) Log.DeregisterAfterBelowMinimum(_logger, GoDuration.Format(after));
    }

    /// <summary>Logs a failure once, not its retries.</summary>
    private void LogFailure(Exception failure)
    {
        if (failure.Message == _failure) return;
        _failure = failure.Message;
        Log.RegistrationFailed(_logger, failure.Message, ConsulFailure.Of(failure).Advice(_service));
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken ct)
    {
        using var expiry = new CancellationTokenSource(pause, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            await _requests.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
        }
    }
}
