using System.Globalization;
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

/// <summary>An instance as the agent or the catalog tells it. An empty address means the node's.</summary>
internal sealed record AgentService(string? ID, string? Service, string? Address, int Port, Dictionary<string, string>? Meta);

/// <summary>What is written to register an instance. An agent refuses keys that it does not know, so what is null is left out.</summary>
internal sealed record AgentServiceRegistration
{
    public required string ID { get; init; }

    public required string Name { get; init; }

    public required string Address { get; init; }

    public required int Port { get; init; }

    public SortedDictionary<string, string>? Meta { get; init; }

    public AgentServiceCheck? Check { get; init; }
}

/// <summary>
/// The check that the agent runs for an instance. There is no <c>Status</c> on purpose: registering as passing would call a gateway healthy
/// that nobody has asked.
/// </summary>
internal sealed record AgentServiceCheck
{
    public string? HTTP { get; init; }

    public string? TCP { get; init; }

    public SortedDictionary<string, string[]>? Header { get; init; }

    /// <summary>A duration as Go writes it.</summary>
    public required string Interval { get; init; }

    public required string Timeout { get; init; }

    public int? SuccessBeforePassing { get; init; }

    public int? FailuresBeforeCritical { get; init; }

    public string? DeregisterCriticalServiceAfter { get; init; }
}

/// <summary>Durations in the one spelling that an agent accepts.</summary>
internal static class GoDuration
{
    /// <summary>Whole seconds as <c>5s</c>, everything else in milliseconds, never less than one.</summary>
    public static string Format(TimeSpan duration)
    {
        long ms = Math.Max(1, (long)duration.TotalMilliseconds);
        return ms % 1000 == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{ms / 1000}s")
            : string.Create(CultureInfo.InvariantCulture, $"{ms}ms");
    }
}
