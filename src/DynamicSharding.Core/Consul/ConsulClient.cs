namespace DynamicSharding.Consul;

/// <summary>
/// The few calls of Consul's HTTP API that this program needs, with the names of the <c>Consul</c> package. It neither retries nor logs:
/// only the caller knows what a failure means.
/// </summary>
internal sealed class ConsulClient : IDisposable
{
    private readonly HttpClient _http;

    /// <param name="handler">Disposed with the client.</param>
    public ConsulClient(ConsulClientConfiguration configuration, HttpMessageHandler handler, TimeProvider time)
    {
        // Each request has its own timeout, which covers the body too; the default of 100 s would end long polls.
        _http = new HttpClient(handler) { BaseAddress = configuration.Address, Timeout = Timeout.InfiniteTimeSpan };
        var requests = new ConsulRequests(_http, configuration, time);
        Agent = new AgentEndpoint(requests);
        Health = new HealthEndpoint(requests);
        Session = new SessionEndpoint(requests);
        KV = new KVEndpoint(requests);
    }

    public AgentEndpoint Agent { get; }

    public HealthEndpoint Health { get; }

    public SessionEndpoint Session { get; }

    public KVEndpoint KV { get; }

    public void Dispose() => _http.Dispose();
}

internal sealed record ConsulClientConfiguration
{
    public required Uri Address { get; init; }

    /// <summary>Called before each request, so that a rotated token takes effect without a restart.</summary>
    public Func<string?> Token { get; init; } = static () => null;

    /// <summary>For a proxy in front of the agent; sent with every request, not only after a 401.</summary>
    public string? Authorization { get; init; }

    public string? Datacenter { get; init; }

    /// <summary>Sent only when set: an open-source agent rejects <c>ns=</c>.</summary>
    public string? Namespace { get; init; }

    public string? Partition { get; init; }
}

/// <summary>Where an agent listens.</summary>
/// <param name="BaseUri">Its path is the prefix of a proxy in front.</param>
/// <param name="UnixSocket">The path of the socket, if it is a Unix one.</param>
internal sealed record ConsulAddress(Uri BaseUri, string? UnixSocket)
{
    private const string UnixScheme = "unix://";

    /// <summary>Accepts <c>host:port</c>, <c>http(s)://host:port[/prefix]</c> and <c>unix:///path</c>, as Consul's own tools do.</summary>
    /// <param name="address">From the configuration.</param>
    /// <param name="tls">Whether an address without a scheme means https.</param>
    public static ConsulAddress Parse(string address, bool tls)
    {
        if (address.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            return new ConsulAddress(new Uri("http://localhost/"), address[UnixScheme.Length..]);
        }

        string text = address.Contains("://", StringComparison.Ordinal) ? address : (tls ? "https://" : "http://") + address;

        // Relative paths resolve against the last slash; without one the prefix would be lost.
        var uri = new Uri(text.EndsWith('/') ? text : text + "/", UriKind.Absolute);
        if (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps) throw new FormatException($"'{address}' is not an address of a Consul agent");
        return new ConsulAddress(uri, null);
    }
}
