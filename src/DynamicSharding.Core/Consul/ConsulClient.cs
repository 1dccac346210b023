namespace DynamicSharding.Consul;

/// <summary>
/// The few calls of Consul's HTTP API that this program needs, typed. Names follow the <c>Consul</c> package, so that whoever knows that
/// one can read this one. It neither retries nor logs: the caller knows what a failure means.
/// </summary>
internal sealed class ConsulClient : IDisposable
{
    private readonly HttpClient _http;

    /// <param name="configuration">What every request has in common.</param>
    /// <param name="handler">How the agent is reached; disposed with the client.</param>
    /// <param name="time">The clock of the deadlines.</param>
    public ConsulClient(ConsulClientConfiguration configuration, HttpMessageHandler handler, TimeProvider time)
    {
        // Every request carries a deadline of its own that covers its body, too; the client's default of 100 s would cut long polls.
        _http = new HttpClient(handler) { BaseAddress = configuration.Address, Timeout = Timeout.InfiniteTimeSpan };
        var requests = new ConsulRequests(_http, configuration, time);
        Agent = new AgentEndpoint(requests);
        Health = new HealthEndpoint(requests);
    }

    public AgentEndpoint Agent { get; }

    public HealthEndpoint Health { get; }

    public void Dispose() => _http.Dispose();
}

/// <summary>What every request of a <see cref="ConsulClient"/> has in common.</summary>
internal sealed record ConsulClientConfiguration
{
    public required Uri Address { get; init; }

    /// <summary>Asked before each request, so that a rotated token is used without a restart.</summary>
    public Func<string?> Token { get; init; } = static () => null;

    /// <summary>The value of an Authorization field for a proxy in front; sent at once, not after a 401.</summary>
    public string? Authorization { get; init; }

    public string? Datacenter { get; init; }

    /// <summary>Sent only when set: an open-source agent answers 400 to <c>ns=</c>.</summary>
    public string? Namespace { get; init; }

    public string? Partition { get; init; }
}

/// <summary>Where an agent listens: a base URI (its path is the prefix of a proxy in front), and the socket file when it is a Unix one.</summary>
internal sealed record ConsulAddress(Uri BaseUri, string? UnixSocket)
{
    private const string UnixScheme = "unix://";

    /// <summary>Understands <c>host:port</c>, <c>http(s)://host:port[/prefix]</c> and <c>unix:///path</c>, as Consul's own tools do.</summary>
    /// <param name="address">As the operator wrote it; a socket's path is taken byte for byte.</param>
    /// <param name="tls">https for an address without a scheme.</param>
    public static ConsulAddress Parse(string address, bool tls)
    {
        if (address.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            return new ConsulAddress(new Uri("http://localhost/"), address[UnixScheme.Length..]);
        }

        string text = address.Contains("://", StringComparison.Ordinal) ? address : (tls ? "https://" : "http://") + address;

        // Relative paths are resolved against the last slash, so that a prefix survives.
        var uri = new Uri(text.EndsWith('/') ? text : text + "/", UriKind.Absolute);
        if (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps) throw new FormatException($"'{address}' is not an address of a Consul agent");
        return new ConsulAddress(uri, null);
    }
}
