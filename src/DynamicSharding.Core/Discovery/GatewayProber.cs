using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>Asks one gateway once whether it is healthy. One client with one pool for all of them.</summary>
internal sealed class GatewayProber : IDisposable
{
    /// <summary>How a Pushgateway says on its health page that it is busy, not broken.</summary>
    public const string OverloadText = "write queue is full";

    /// <summary>A health page is a line; whoever sends more is cut off, and so is his connection.</summary>
    private const int MaxBodyBytes = 64 * 1024;

    /// <summary>Probes under way at once: a fleet that hangs must not cost a descriptor per gateway.</summary>
    private const int MaxConcurrent = 256;

    private readonly SemaphoreSlim _slots = new(MaxConcurrent);
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly string _scheme;
    private readonly string _prefix;
    private readonly GatewayCredentials? _credentials;
    private long _lastProbe;

    public GatewayProber(PushgatewayOptions options, TimeProvider time)
    {
        _time = time;
        _scheme = options.Scheme;
        _prefix = options.PathPrefix;
        _credentials = GatewayCredentials.From(options);

        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,

            PooledConnectionLifetime = NameResolver.ConnectionLifetime,
            MaxConnectionsPerServer = 2,
            MaxResponseHeadersLength = 32,
        };
        GatewayTlsOptions tls = options.Tls;
        ClientTls.Configure(handler, tls.CaFile, null, tls.CertFile, tls.KeyFile, tls.ServerName, insecureSkipVerify: false);
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "dynamic-sharding");
    }

    /// <summary>When a probe last came to a result, whatever it was; null before the first.</summary>
    public DateTimeOffset? LastProbe => Interlocked.Read(ref _lastProbe) is > 0 and long ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>Every failure is a result; only cancellation throws.</summary>
    public async Task<ProbeResult> ProbeAsync(string address, HealthCheckOptions check, CancellationToken ct)
    {
        ProbeResult result = await AskAsync(address, check, ct).ConfigureAwait(false);
        Interlocked.Exchange(ref _lastProbe, _time.GetUtcNow().UtcTicks);
        return result;
    }

    public void Dispose()
    {
        _http.Dispose();
        _slots.Dispose();
    }

    private async Task<ProbeResult> AskAsync(string address, HealthCheckOptions check, CancellationToken ct)
    {
        await _slots.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            // Its clock starts with the probe itself, not with the wait for a slot.
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
                return Failed(string.Create(CultureInfo.InvariantCulture, $"no answer within {check.Timeout.TotalSeconds:0.###} s"));
            }
            catch (HttpRequestException ex)
            {
                return Failed(Innermost(ex));
            }
            catch (Exception ex) when (ex is IOException or SocketException or AuthenticationException)
            {
                return Failed(Innermost(ex));
            }
        }
        finally
        {
            _slots.Release();
        }
    }

    private static async Task<ProbeResult> ConnectAsync(string address, CancellationToken ct)
    {
        (string host, int port) = GatewayAddress.Split(address);
        using Socket socket = await NameResolver.Shared.ConnectAsync(host, port, ct).ConfigureAwait(false);
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

    private static string Innermost(Exception ex)
    {
        while (ex.InnerException is { } inner) ex = inner;
        return ex.Message;
    }
}

/// <summary>What one probe found.</summary>
internal readonly record struct ProbeResult(bool Healthy, bool Overloaded, string Output);
