using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DynamicSharding.Consul;

/// <summary><c>/v1/health</c>.</summary>
internal sealed class HealthEndpoint
{
    /// <summary>What an answer may take beyond its wait: the seven seconds that a server holds a call without a leader, and the way.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(15);

    /// <summary>Those of the node and of the service. Consul itself adds one of each.</summary>
    private const int MaxChecks = 128;

    private readonly ConsulRequests _requests;

    internal HealthEndpoint(ConsulRequests requests) => _requests = requests;

    /// <summary>All instances of a service with all their checks, healthy or not: the caller judges.</summary>
    public Task<QueryResult<List<ServiceEntry>>> Service(string service, QueryOptions options, CancellationToken ct)
    {
        var query = new StringBuilder("health/service/").Append(Uri.EscapeDataString(service)).Append("?index=").Append(options.WaitIndex);
        TimeSpan deadline = Grace;
        if (options.WaitIndex > 0)
        {
            // wait=0 would mean the server's default of five minutes. The server adds up to a sixteenth of its own.
            long wait = Math.Max(1, (long)options.WaitTime.TotalMilliseconds);
            query.Append(CultureInfo.InvariantCulture, $"&wait={wait}ms");
            deadline += TimeSpan.FromMilliseconds(wait * 17 / 16);
        }

        if (options.Consistency == ConsistencyMode.Stale) query.Append("&stale");
        if (options.Consistency == ConsistencyMode.Consistent) query.Append("&consistent");
        if (_requests.Configuration.Datacenter is { Length: > 0 } datacenter) query.Append("&dc=").Append(Uri.EscapeDataString(datacenter));
        return _requests.GetAsync(query.ToString(), ConsulJson.Default.ServiceEntry, new List<ServiceEntry>(), Add, deadline, ct);
    }

    private static void Add(List<ServiceEntry> rows, string? name, ServiceEntry row)
    {
        if (name is not null) throw new JsonException("an object in place of a list");
        if (row.Checks?.Length > MaxChecks) throw new ResponseTooLargeException($"an instance has more than {MaxChecks} checks");
        rows.Add(row);
    }
}

/// <summary>One row of <c>/v1/health/service</c>: an instance, the node of the agent that registered it, and the checks of both.</summary>
internal sealed record ServiceEntry(Node? Node, AgentService? Service, HealthCheck[]? Checks);

/// <summary>The machine of the agent that registered an instance.</summary>
internal sealed record Node([property: JsonPropertyName("Node")] string? Name, string? Address);

/// <summary>The state of one check. A check of the node has no service id; a maintenance has its reason in the notes.</summary>
internal sealed record HealthCheck(string? CheckID, string? Status, string? Output, string? ServiceID, string? Notes = null);

/// <summary>The words and check ids that Consul uses.</summary>
internal static class HealthStatus
{
    public const string Passing = "passing";
    public const string Warning = "warning";
    public const string Critical = "critical";

    public const string NodeMaintenance = "_node_maintenance";
    public const string ServiceMaintenancePrefix = "_service_maintenance:";

    /// <summary>Whether the agent's node is alive as its fellow agents see it.</summary>
    public const string SerfHealth = "serfHealth";
}

/// <summary>How a read is made. An index of 0 answers at once; any other blocks until something newer is there or the wait is over.</summary>
internal readonly record struct QueryOptions(ConsistencyMode Consistency, ulong WaitIndex, TimeSpan WaitTime);

internal enum ConsistencyMode
{
    Default,
    Consistent,

    /// <summary>Any server may answer: reads go on while there is no leader.</summary>
    Stale,
}

/// <summary>An answer of status 200, with what its fields say about it.</summary>
/// <param name="Response">The parsed body.</param>
/// <param name="LastIndex">Null when the answer carries no readable index; never taken from an error, those say 1.</param>
/// <param name="LastContact">How long the answering server has not heard from a leader.</param>
/// <param name="KnownLeader">Whether it knows one.</param>
/// <param name="FilteredByAcls">Newer servers say so when the token's rights hid something.</param>
internal sealed record QueryResult<T>(T Response, ulong? LastIndex, TimeSpan? LastContact, bool KnownLeader, bool FilteredByAcls)
    where T : class
{
    public static QueryResult<T> From(T response, HttpResponseHeaders headers) => new(
        response,
        Number(headers, "X-Consul-Index"),
        Number(headers, "X-Consul-LastContact") is { } ms and < int.MaxValue ? TimeSpan.FromMilliseconds(ms) : null,
        Field(headers, "X-Consul-KnownLeader") is not "false",
        Field(headers, "X-Consul-Results-Filtered-By-ACLs") is "true");

    private static ulong? Number(HttpResponseHeaders headers, string name) =>
        ulong.TryParse(Field(headers, name), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : null;

    private static string? Field(HttpResponseHeaders headers, string name) =>
        headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;
}
