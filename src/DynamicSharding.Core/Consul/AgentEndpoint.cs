using System.Globalization;
using System.Net;
using System.Text.Json;

namespace DynamicSharding.Consul;

/// <summary><c>/v1/agent</c>: the services registered on the local agent. Reads are local and need no leader.</summary>
internal sealed class AgentEndpoint
{
    /// <summary>Without a leader the response to a write takes seven seconds (rpc_hold_timeout), and the write counts.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    private readonly ConsulRequests _requests;

    internal AgentEndpoint(ConsulRequests requests) => _requests = requests;

    /// <summary>By id.</summary>
    public async Task<IReadOnlyDictionary<string, AgentService>> Services(CancellationToken ct) =>
        (await _requests.GetAsync(
            "agent/services",
            ConsulJson.Default.AgentService,
            new Dictionary<string, AgentService>(),
            static (services, id, service) => services[id ?? throw new JsonException("expected an object, not a list")] = service,
            Timeout,
            ct).ConfigureAwait(false)).Response;

    /// <summary>The name of the agent's node, as the check of one of its instances tells it: <c>agent/self</c> needs another permission.</summary>
    /// <param name="id">Of the instance.</param>
    /// <returns>Null if the instance has no check.</returns>
    public async Task<string?> Node(string id, CancellationToken ct)
    {
        List<AgentCheck> checks = (await _requests.GetAsync(
            "agent/checks?filter=" + Uri.EscapeDataString($"ServiceID == \"{id}\""),
            ConsulJson.Default.AgentCheck,
            new List<AgentCheck>(),
            static (checks, _, check) => checks.Add(check),
            Timeout,
            ct).ConfigureAwait(false)).Response;

        // An agent that is too old for the filter lists all checks.
        return checks.FirstOrDefault(check => check.ServiceID == id)?.Node;
    }

    /// <summary>The ids of the instances that have a check.</summary>
    public async Task<HashSet<string>> CheckedServices(CancellationToken ct) =>
        (await _requests.GetAsync(
            "agent/checks",
            ConsulJson.Default.AgentCheck,
            new HashSet<string>(StringComparer.Ordinal),
            static (ids, _, check) => ids.Add(check.ServiceID ?? ""),
            Timeout,
            ct).ConfigureAwait(false)).Response;

    /// <summary>Without <c>replace-existing-checks</c>, which would end an operator's maintenance.</summary>
    public Task ServiceRegister(AgentServiceRegistration service, CancellationToken ct) => _requests.PutAsync(
        "agent/service/register",
        JsonSerializer.SerializeToUtf8Bytes(service, ConsulJson.Default.AgentServiceRegistration),
        Timeout,
        ct);

    /// <summary>Succeeds for an unknown id too: newer agents return 404 where older ones returned 200.</summary>
    public async Task ServiceDeregister(string id, CancellationToken ct)
    {
        try
        {
            await _requests.PutAsync("agent/service/deregister/" + Uri.EscapeDataString(id), null, Timeout, ct).ConfigureAwait(false);
        }
        catch (ConsulRequestException ex) when (ex.StatusCode == HttpStatusCode.NotFound)
        {
        }
    }
}

/// <summary>An instance as the agent or the catalog lists it. An empty address means the node's.</summary>
/// <param name="Port">As anybody registered it: Consul stores any 64-bit number, and one that is no port must not make the list unreadable.</param>
internal sealed record AgentService(string? ID, string? Service, string? Address, long Port, Dictionary<string, string>? Meta)
{
    public ServiceWeights? Weights { get; init; }
}

/// <summary>A check of the agent.</summary>
/// <param name="Node">The name of the agent's node.</param>
internal sealed record AgentCheck(string? Node, string? ServiceID);

/// <summary>For DNS responses, by the state of the checks. An agent demands at least 1 for passing, the catalog takes any number.</summary>
internal sealed record ServiceWeights(long Passing, long Warning = 1);

/// <summary>The body of a registration. An agent rejects keys that it does not know, so null values are omitted.</summary>
internal sealed record AgentServiceRegistration
{
    public required string ID { get; init; }

    public required string Name { get; init; }

    public required string Address { get; init; }

    public required int Port { get; init; }

    public SortedDictionary<string, string>? Meta { get; init; }

    /// <summary>Null for the agent's default, 1 for both.</summary>
    public ServiceWeights? Weights { get; init; }

    public AgentServiceCheck? Check { get; init; }
}

/// <summary>
/// The check that the agent runs for an instance. It has no <c>Status</c> on purpose: a gateway registered as passing would count as
/// healthy before anything has checked it.
/// </summary>
internal sealed record AgentServiceCheck
{
    public string? HTTP { get; init; }

    public string? TCP { get; init; }

    public SortedDictionary<string, string[]>? Header { get; init; }

    /// <summary>In Go's format, as are the other durations.</summary>
    public required string Interval { get; init; }

    public required string Timeout { get; init; }

    public int? SuccessBeforePassing { get; init; }

    public int? FailuresBeforeCritical { get; init; }

    public string? DeregisterCriticalServiceAfter { get; init; }
}

/// <summary>Durations in the format that an agent accepts.</summary>
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
