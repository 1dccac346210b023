using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Cleanup;

/// <summary>
/// One cleaner at a time: a lock in Consul's KV store, held by a session that ends when it is not renewed. The instances also publish their
/// rings' fingerprints below it, so that none deletes while they disagree.
/// </summary>
internal sealed class CleanupLease : IDisposable
{
    private const string Hint = "the token needs session_prefix \"\" { policy = \"write\" } and key_prefix \"dynamic-sharding/\" { policy = \"write\" }";

    /// <summary>The shortest that Consul allows is 10 s; it ends a session up to twice as late.</summary>
    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan RenewPeriod = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ReleaseTimeout = TimeSpan.FromSeconds(2);

    private readonly ConsulClient _consul;
    private readonly ConsulToken _token;
    private readonly Func<string?> _fingerprint;
    private readonly string _name;
    private readonly string _prefix;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff = new(Random.Shared);
    private string? _session;

    /// <summary>In the last step.</summary>
    private bool _isSessionLost;
    private string? _published;
    private string? _error;
    private long _failures;
    private volatile Confirmation? _held;
    private volatile Peers _peers = new(null, []);

    /// <param name="options">How Consul is reached, and the service whose gateways are cleaned.</param>
    /// <param name="name">Of this instance, for operators.</param>
    /// <param name="fingerprint">Of the current ring.</param>
    public CleanupLease(ConsulOptions options, string name, Func<string?> fingerprint, ILogger logger, TimeProvider time)
    {
        _token = new ConsulToken(options);
        _consul = ConsulConnection.Open(options, _token.Current, time);
        _fingerprint = fingerprint;
        _name = name;
        _prefix = $"dynamic-sharding/{options.RegisterServiceName}/cleanup/";
        _logger = logger;
        _time = time;
    }

    /// <summary>By our own clock: a renewal that does not come through ends it before Consul does.</summary>
    public bool IsHeld => _held is { } held && _time.GetElapsedTime(held.At) < TimeToLive;

    /// <summary>The name of the instance that holds it; null if none does.</summary>
    public string? Holder => _peers.Holder;

    /// <summary>Of the instances that ask for the lease.</summary>
    public ImmutableArray<string> Fingerprints => _peers.Fingerprints;

    public string? Error => _error;

    /// <summary>Requests that failed. A counter.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    public void Apply(ConsulOptions options) => _token.Apply(options);

    /// <summary>Asks for the lease and keeps it, until cancelled; then releases it.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            // A session must be renewed in time, unless it is lost again and again: one that ended in an outage is new now. Without a lease nothing
            // is urgent.
            TimeSpan pause = RenewPeriod;
            bool wasSessionLost = _isSessionLost;
            if (await StepAsync(ct).ConfigureAwait(false)) _backoff.Reset();
            else if ((_isSessionLost ? wasSessionLost : !IsHeld) && _backoff.Next(null) is var longer && longer > pause) pause = longer;
            await Task.Delay(pause, _time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await ReleaseAsync().ConfigureAwait(false);
    }

    public void Dispose() => _consul.Dispose();

    /// <returns>False if it failed, or the session had been lost.</returns>
    private async Task<bool> StepAsync(CancellationToken ct)
    {
        _isSessionLost = false;

        // Before the request: the session lives from when Consul hears of it.
        long asked = _time.GetTimestamp();
        try
        {
            if (_session is not null && !await _consul.Session.Renew(_session, ct).ConfigureAwait(false))
            {
                _isSessionLost = true;
                Forget();
            }

            _session ??= await CreateAsync(ct).ConfigureAwait(false);
            string fingerprint = _fingerprint() ?? "";
            if (_published != fingerprint)
            {
                await _consul.KV.Acquire(_prefix + "fingerprints/" + _session, Encoding.UTF8.GetBytes(fingerprint), _session, ct).ConfigureAwait(false);
                _published = fingerprint;
            }

            bool isHeld = await _consul.KV.Acquire(_prefix + "lease", Encoding.UTF8.GetBytes(_name), _session, ct).ConfigureAwait(false);
            _peers = Peers.From(await _consul.KV.List(_prefix, ct).ConfigureAwait(false), _prefix);
            SetHeld(isHeld ? new Confirmation(asked) : null);
            if (_error is not null) _logger.CleanupLeaseRecovered();
            _error = null;
            return !_isSessionLost;
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
        catch (Exception e) when (e is HttpRequestException or ConsulRequestException or TimeoutException or JsonException or IOException or SocketException or ResponseTooLargeException)
        {
            // The lease holds until its time is over: an agent that restarts is no reason to stop a pass.
            Interlocked.Increment(ref _failures);
            if (_error != e.Message) _logger.CleanupLeaseFailed(e.Message, e is ConsulRequestException { StatusCode: HttpStatusCode.Forbidden } ? Hint : "check consul_server.addr and the agent");
            _error = e.Message;
            if (!IsHeld) SetHeld(null);
        }

        return false;
    }

    private Task<string> CreateAsync(CancellationToken ct) =>
        _consul.Session.Create(new SessionEntry(null, "dynamic-sharding cleanup", GoDuration.Format(TimeToLive), "delete"), ct);

    private void Forget()
    {
        _session = _published = null;
        SetHeld(null);
    }

    private void SetHeld(Confirmation? held)
    {
        bool was = _held is not null;
        _held = held;
        if (held is not null && !was) _logger.CleanupLeaseHeld(_prefix + "lease");
        if (held is null && was) _logger.CleanupLeaseLost(_prefix + "lease");
    }

    /// <summary>Another instance need not wait for the session's end.</summary>
    private async Task ReleaseAsync()
    {
        string? session = _session;
        Forget();
        _peers = new Peers(null, []);
        if (session is null) return;
        try
        {
            using var expiry = new CancellationTokenSource(ReleaseTimeout, _time);
            await _consul.KV.Release(_prefix + "lease", session, expiry.Token).ConfigureAwait(false);
            await _consul.Session.Destroy(session, expiry.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or ConsulRequestException or TimeoutException or OperationCanceledException or JsonException or IOException or SocketException)
        {
            // It ends by itself.
        }
    }

    /// <param name="At">When it was asked for, as a timestamp of the clock.</param>
    private sealed record Confirmation(long At);

    private sealed record Peers(string? Holder, ImmutableArray<string> Fingerprints)
    {
        public static Peers From(IReadOnlyList<KVPair> pairs, string prefix) => new(
            pairs.FirstOrDefault(pair => pair.Key == prefix + "lease" && pair.Session is not null) is { Value: { } name } ? Encoding.UTF8.GetString(name) : null,
            [.. pairs.Where(pair => pair.Key.StartsWith(prefix + "fingerprints/", StringComparison.Ordinal) && pair.Session is not null).Select(static pair => Encoding.UTF8.GetString(pair.Value ?? []))]);
    }
}
