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
