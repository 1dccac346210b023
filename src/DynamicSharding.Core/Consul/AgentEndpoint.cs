using System.Net;
using System.Text.Json;

namespace DynamicSharding.Consul;

/// <summary><c>/v1/agent</c>: what is registered on the one agent that we talk to. Reads are local and need no leader.</summary>
internal sealed class AgentEndpoint
{
    private static readonly TimeSpan ReadDeadline = TimeSpan.FromSeconds(15);

    /// <summary>Without a leader a write is answered after seven seconds (rpc_hold_timeout), and it counts.</summary>
    private static readonly TimeSpan WriteDeadline = TimeSpan.FromSeconds(15);

    private readonly ConsulRequests _requests;

    internal AgentEndpoint(ConsulRequests requests) => _requests = requests;

    /// <summary>Every service of this agent by its id.</summary>
    public async Task<IReadOnlyDictionary<string, AgentService>> Services(CancellationToken ct) =>
        (await _requests.GetAsync(
            "agent/services",
            ConsulJson.Default.AgentService,
            new Dictionary<string, AgentService>(),
            static (services, id, service) => services[id ?? throw new JsonException("a list in place of an object")] = service,
            ReadDeadline,
            ct).ConfigureAwait(false)).Response;

    /// <summary>Never with <c>replace-existing-checks</c>: that would cancel an operator's maintenance.</summary>
    public Task ServiceRegister(AgentServiceRegistration service, CancellationToken ct) => _requests.PutAsync(
        "agent/service/register",
        JsonSerializer.SerializeToUtf8Bytes(service, ConsulJson.Default.AgentServiceRegistration),
        WriteDeadline,
        ct);

    /// <summary>An id that is not there is deregistered: newer agents say 404 where older ones said 200.</summary>
    public async Task ServiceDeregister(string id, CancellationToken ct)
    {
        try
        {
            await _requests.PutAsync("agent/service/deregister/" + Uri.EscapeDataString(id), null, WriteDeadline, ct).ConfigureAwait(false);
        }
        catch (ConsulRequestException ex) when (ex.StatusCode == HttpStatusCode.NotFound)
        {
        }
    }
}
