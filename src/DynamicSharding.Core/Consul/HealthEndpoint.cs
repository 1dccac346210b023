using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DynamicSharding.Consul;

/// <summary><c>/v1/health</c>.</summary>
internal sealed class HealthEndpoint
{
    /// <summary>What a response may take beyond its wait: seven seconds that a server holds a call without a leader, and the network.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(15);

    /// <summary>Of the node and the service together.</summary>
    private const int MaxChecks = 128;

    private readonly ConsulRequests _requests;

    internal HealthEndpoint(ConsulRequests requests) => _requests = requests;

    /// <summary>All instances of a service with all their checks, healthy or not.</summary>
    public Task<QueryResult<List<ServiceEntry>>> Service(string service, QueryOptions options, CancellationToken ct)
    {
        var query = new StringBuilder("health/service/").Append(Uri.EscapeDataString(service)).Append("?index=").Append(options.WaitIndex);
        TimeSpan deadline = Grace;
        if (options.WaitIndex > 0)
        {
            // wait=0 would mean the server's default of five minutes. The server adds up to a sixteenth as jitter.
            long wait = Math.Max(1, (long)options.WaitTime.TotalMilliseconds);
            query.Append(CultureInfo.InvariantCulture, $"&wait={wait}ms");
            deadline += TimeSpan.FromMilliseconds(wait * 17 / 16);
        }

        if (options.Consistency == ConsistencyMode.Stale) query.Append("&stale");
        if (options.Consistency == ConsistencyMode.Consistent) query.Append("&consistent");
        if (options.Filter is { } filter) query.Append("&filter=").Append(Uri.EscapeDataString(filter));
        if (_requests.Configuration.Datacenter is { Length: > 0 } datacenter) query.Append("&dc=").Append(Uri.EscapeDataString(datacenter));
        return _requests.GetAsync(query.ToString(), ConsulJson.Default.ServiceEntry, new List<ServiceEntry>(), Add, deadline, ct);
    }

    private static void Add(List<ServiceEntry> rows, string? name, ServiceEntry row)
    {
        if (name is not null) throw new JsonException("expected a list, not an object");
        if (row.Checks?.Contains(null) == true) throw new JsonException("a check is null");
        if (row.Checks?.Length > MaxChecks) throw new ResponseTooLargeException($"an instance has more than {MaxChecks} checks");
        rows.Add(row);
    }
}

/// <summary>One row of <c>/v1/health/service</c>: an instance, the node of the agent that registered it, and the checks of both.</summary>
internal sealed record ServiceEntry(Node? Node, AgentService? Service, HealthCheck[]? Checks)
{
    /// <summary>The instance's address. An instance registered without one has the address of its node.</summary>
    [JsonIgnore]
    public string? Address => string.IsNullOrEmpty(Service?.Address) ? Node?.Address : Service.Address;

    /// <summary>False once the other agents have found the instance's agent dead; its checks no longer run.</summary>
    [JsonIgnore]
    public bool IsOnLiveNode => Checks?.Any(static check => check.CheckID == HealthStatus.SerfHealth && check.Status == HealthStatus.Critical) != true;
}

/// <summary>The machine of the agent that registered an instance.</summary>
internal sealed record Node([property: JsonPropertyName("Node")] string? Name, string? Address);

/// <summary>The state of one check. A check of the node has no service id. Maintenance has its reason in the notes.</summary>
/// <param name="ModifyIndex">Of its last change, which is the index of a list if nothing in the list is newer.</param>
internal sealed record HealthCheck(string? CheckID, string? Status, string? Output, string? ServiceID, string? Notes = null, ulong ModifyIndex = 0);

/// <summary>Values of <see cref="HealthCheck.Status"/>, and check ids with a meaning.</summary>
internal static class HealthStatus
{
    public const string Passing = "passing";
    public const string Warning = "warning";
    public const string Critical = "critical";

    public const string NodeMaintenance = "_node_maintenance";
    public const string ServiceMaintenancePrefix = "_service_maintenance:";

    /// <summary>Whether the agent's node is alive, as other agents see it.</summary>
    public const string SerfHealth = "serfHealth";
}

/// <summary>With an index of 0 the response is immediate; with any other the query blocks until there is something newer or the wait is over.</summary>
internal readonly record struct QueryOptions(ConsistencyMode Consistency, ulong WaitIndex, TimeSpan WaitTime)
{
    /// <summary>An expression that selects rows, for agents of 1.5 and later. It has no influence on the index, nor on what ends the wait.</summary>
    public string? Filter { get; init; }
}

internal enum ConsistencyMode
{
    Default,
    Consistent,

    /// <summary>Any server may respond, so reads work without a leader.</summary>
    Stale,
}

/// <summary>A response of status 200 with its fields.</summary>
/// <param name="Response">The parsed body.</param>
/// <param name="LastIndex">Null without a readable index. Never taken from an error, where it is always 1.</param>
/// <param name="LastContact">Time since the responding server last heard from a leader.</param>
/// <param name="KnownLeader">Whether the server knows a leader; null if no server was asked.</param>
/// <param name="FilteredByAcls">The token's permissions hide something. Only newer servers report it.</param>
internal sealed record QueryResult<T>(T Response, ulong? LastIndex, TimeSpan? LastContact, bool? KnownLeader, bool FilteredByAcls)
    where T : class
{
    public static QueryResult<T> From(T response, HttpResponseHeaders headers) => new(
        response,
        Number(headers, "X-Consul-Index"),
        !IsStreamed(headers) && Number(headers, "X-Consul-LastContact") is { } ms and < int.MaxValue ? TimeSpan.FromMilliseconds(ms) : null,
        IsStreamed(headers) ? null : Field(headers, "X-Consul-KnownLeader") is not "false",
        Field(headers, "X-Consul-Results-Filtered-By-ACLs") is "true");

    /// <summary>An agent of 1.10 or later that responds from its own view says that there is no leader, whatever the servers know (hashicorp/consul#9776).</summary>
    private static bool IsStreamed(HttpResponseHeaders headers) => Field(headers, "X-Consul-Query-Backend") is "streaming";

    private static ulong? Number(HttpResponseHeaders headers, string name) =>
        ulong.TryParse(Field(headers, name), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : null;

    private static string? Field(HttpResponseHeaders headers, string name) =>
        headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;
}
