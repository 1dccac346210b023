using System.Globalization;
using System.Text;
using System.Text.Json;

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
