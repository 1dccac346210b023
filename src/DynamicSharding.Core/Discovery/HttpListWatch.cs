using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>
/// Fetches the list as Prometheus does with http_sd_configs: 200 and application/json. A redirect is not followed: the password belongs to the
/// URL in the configuration.
/// </summary>
internal sealed class HttpListWatch : IListWatch
{
    /// <summary>Of a whole exchange: a response that trickles in must not hold up the next.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>After a failure, if the interval is not shorter.</summary>
    private static readonly TimeSpan MaxRetryPause = TimeSpan.FromSeconds(5);

    private readonly HttpSdOptions _options;
    private readonly TargetGroups _groups;
    private readonly GatewayList _list;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;
    private readonly SecretFile? _password;

    public HttpListWatch(ServerOptions options, GatewayList list, TimeProvider time)
    {
        _options = options.HttpSd;
        Url = HttpUrlText.WithoutQuery(_options.Url!);
        _groups = TargetGroups.For(options);
        _list = list;
        _time = time;
        if (_options.BasicAuthPasswordFile is { } file) _password = new SecretFile(file);
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.GZip,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = NameResolver.ConnectionLifetime,
            MaxConnectionsPerServer = 1,
            MaxResponseHeadersLength = 64,
        };
        GatewayTlsOptions tls = _options.Tls;
        ClientTls.Configure(handler, tls.CaFile, null, tls.CertFile, tls.KeyFile, tls.ServerName, insecureSkipVerify: false);
        _http = new HttpClient(handler) { Timeout = System.Threading.Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "dynamic-sharding");
        _http.DefaultRequestHeaders.TryAddWithoutValidation("Accept", "application/json");
        _http.DefaultRequestHeaders.TryAddWithoutValidation(
            "X-Prometheus-Refresh-Interval-Seconds", _options.RefreshInterval.TotalSeconds.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>For messages: a query may hold a secret.</summary>
    private string Url { get; }

    public async Task RunAsync(CancellationToken ct)
    {
        _list.Expect([Url]);
        while (true)
        {
            bool isGood = false;
            try
            {
                isGood = Take(await FetchAsync(ct).ConfigureAwait(false));
            }
            catch (ListUnavailableException e)
            {
                _list.Failed(Url, e.Message);
            }

            TimeSpan pause = isGood || _options.RefreshInterval < MaxRetryPause ? _options.RefreshInterval : MaxRetryPause;
            await Task.Delay(pause, _time, ct).ConfigureAwait(false);
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Fetches the list once.</summary>
    /// <exception cref="ListUnavailableException">There is no usable response.</exception>
    public async Task<byte[]> FetchAsync(CancellationToken ct)
    {
        using var expiry = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            return await ExchangeAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw Unavailable($"no complete response within {Timeout.TotalSeconds:0} s; check the server of http_sd.url, and what is in between");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or AuthenticationException or InvalidDataException)
        {
            Exception cause = e;
            while (cause.InnerException is { } inner) cause = inner;
            throw Unavailable($"{cause.Message.TrimEnd('.')}; check {(e.GetBaseException() is AuthenticationException || e.InnerException is AuthenticationException ? "http_sd.tls" : "http_sd.url")} and the server behind it");
        }
    }

    private async Task<byte[]> ExchangeAsync(CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, _options.Url);
        if (_options.BasicAuthUsername is { } user)
        {
            request.Headers.TryAddWithoutValidation("Authorization", BasicCredentials.Header(user, _password?.Current()));
        }

        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct).ConfigureAwait(false);
        if ((int)response.StatusCode is >= 300 and < 400)
        {
            throw Unavailable($"redirects to {GatewayVerdict.Shorten(HttpUrlText.WithoutQuery(response.Headers.Location?.OriginalString ?? "nowhere"))}, which is not followed; write the right URL in http_sd.url");
        }

        if (response.StatusCode != HttpStatusCode.OK) throw Unavailable(string.Create(CultureInfo.InvariantCulture, $"status {(int)response.StatusCode}; {RemedyOf(response.StatusCode)}"));
        if (response.Content.Headers.ContentType is not { MediaType: "application/json", CharSet: var charset } || charset?.ToUpperInvariant() is not (null or "UTF-8" or "\"UTF-8\""))
        {
            throw Unavailable("its Content-Type is not application/json, as http_sd requires; check http_sd.url, or correct the server");
        }

        await using Stream body = await response.Content.ReadAsStreamAsync(ct).ConfigureAwait(false);
        using var content = new MemoryStream();
        var buffer = new byte[64 * 1024];
        for (int read; (read = await body.ReadAsync(buffer, ct).ConfigureAwait(false)) > 0;)
        {
            content.Write(buffer, 0, read);
            if (content.Length > TargetGroups.MaxBytes) throw Unavailable($"has more than {TargetGroups.MaxBytes >> 20} MiB; check http_sd.url, or list fewer targets");
        }

        return content.ToArray();
    }

    private bool Take(byte[] content)
    {
        (var gateways, string? error) = _groups.Read(Url, content, isJson: true);
        if (error is not null) _list.Failed(Url, error);
        else if (gateways.IsEmpty) _list.Gone(Url, $"{Url}: names no gateway; let the server list targets");
        else _list.Found(Url, gateways);
        return error is null && !gateways.IsEmpty;
    }

    private static string RemedyOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => "check http_sd.basic_auth",
        HttpStatusCode.NotFound => "check http_sd.url",
        _ => "check the server of http_sd.url",
    };

    private ListUnavailableException Unavailable(string why) => new($"{Url}: {why}");
}
