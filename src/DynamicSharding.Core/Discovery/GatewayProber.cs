using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>Probes gateways, one request at a time each, with one connection pool for all.</summary>
internal sealed class GatewayProber : IDisposable
{
    /// <summary>What a Pushgateway's health page says while it is busy, not broken.</summary>
    public const string OverloadText = "write queue is full";

    /// <summary>A health page is one line. The rest of a longer one is not read.</summary>
    private const int MaxBodyBytes = 64 * 1024;

    /// <summary>Gateways that all hang must not cost a descriptor each.</summary>
    private const int MaxConcurrent = 256;

    private readonly SemaphoreSlim _slots = new(MaxConcurrent);
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly NameResolver _resolver;
    private readonly string _scheme;
    private readonly string _prefix;
    private readonly GatewayCredentials? _credentials;
    private long _lastProbe;

    /// <param name="options">How gateways are reached.</param>
    /// <param name="time">The clock.</param>
    /// <param name="resolver">Of their names; null for the system's.</param>
    /// <param name="tls">Null for plain HTTP.</param>
    public GatewayProber(PushgatewayOptions options, TimeProvider time, NameResolver? resolver = null, GatewayTls? tls = null)
    {
        _time = time;
        _resolver = resolver ?? NameResolver.Shared;
        _scheme = options.Scheme;
        _prefix = options.PathPrefix;
        _credentials = GatewayCredentials.From(options);

        var handler = new SocketsHttpHandler
        {
            PooledConnectionLifetime = NameResolver.ConnectionLifetime,
            MaxConnectionsPerServer = 2,
            MaxResponseHeadersLength = 32,
        };
        ClientTls.Configure(handler, tls, _resolver);
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "dynamic-sharding");
    }

    /// <summary>When the last probe ended, whatever its result; null before the first.</summary>
    public DateTimeOffset? LastProbe => Interlocked.Read(ref _lastProbe) is > 0 and long ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>Every failure is a result; only cancellation throws.</summary>
    public async Task<ProbeResult> ProbeAsync(string address, HealthCheckOptions check, CancellationToken ct)
    {
        ProbeResult result = await ProbeOnceAsync(address, check, ct).ConfigureAwait(false);
        Interlocked.Exchange(ref _lastProbe, _time.GetUtcNow().UtcTicks);
        return result;
    }

    public void Dispose()
    {
        _http.Dispose();
        _slots.Dispose();
    }

    private async Task<ProbeResult> ProbeOnceAsync(string address, HealthCheckOptions check, CancellationToken ct)
    {
        await _slots.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            // The timeout starts with the probe, not with the wait for a slot.
            using var expiry = new CancellationTokenSource(check.Timeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
            try
            {
                return check.Type == HealthCheckType.Tcp
                    ? await ConnectAsync(address, either.Token).ConfigureAwait(false)
                    : await GetAsync(address, check, either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                return Failed(string.Create(CultureInfo.InvariantCulture, $"no response within {check.Timeout.TotalSeconds:0.###} s"));
            }
            catch (Exception ex) when (ex is HttpRequestException or IOException or SocketException or AuthenticationException)
            {
                while (ex.InnerException is { } inner) ex = inner;
                return Failed(ex.Message);
            }
        }
        finally
        {
            _slots.Release();
        }
    }

    private async Task<ProbeResult> ConnectAsync(string address, CancellationToken ct)
    {
        (string host, int port) = HostText.Split(address, 0);
        using Socket socket = await _resolver.ConnectAsync(host, port, ct).ConfigureAwait(false);
        return new ProbeResult(true, false, "connected");
    }

    private async Task<ProbeResult> GetAsync(string address, HealthCheckOptions check, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{_scheme}://{address}{_prefix}{check.Path}");
        if (_credentials is not null) request.Headers.TryAddWithoutValidation("Authorization", _credentials.Authorization());

        using HttpResponseMessage response = await _http
            .SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct).ConfigureAwait(false);
        string body = await ReadBoundedAsync(response, ct).ConfigureAwait(false);
        string output = string.Create(CultureInfo.InvariantCulture, $"status {(int)response.StatusCode}: {body}");
        if (response.IsSuccessStatusCode) return new ProbeResult(true, false, output);

        bool overloaded = check.OverloadIsHealthy && response.StatusCode == HttpStatusCode.InternalServerError
            && body.Contains(OverloadText, StringComparison.Ordinal);
        return new ProbeResult(overloaded, overloaded, output);
    }

    private static async Task<string> ReadBoundedAsync(HttpResponseMessage response, CancellationToken ct)
    {
        await using Stream body = await response.Content.ReadAsStreamAsync(ct).ConfigureAwait(false);
        var bytes = new byte[Math.Clamp(response.Content.Headers.ContentLength ?? 1024, 1, MaxBodyBytes)];
        int length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, ct).ConfigureAwait(false);
        return Encoding.UTF8.GetString(bytes, 0, length).Trim();
    }

    private static ProbeResult Failed(string output) => new(false, false, output);
}

internal readonly record struct ProbeResult(bool Healthy, bool Overloaded, string Output);
