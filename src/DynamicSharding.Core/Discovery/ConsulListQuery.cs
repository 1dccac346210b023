using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>Queries the list of a service's instances, or only its index, and checks what comes back.</summary>
internal sealed class ConsulListQuery(ConsulOptions options, ShardingOptions sharding, ILogger logger)
{
    /// <summary>Contradicts itself, so that no row of any catalog matches: a response with rows is one whose agent ignores filters.</summary>
    private const string NoRows = "Service.ID == \"\" and Service.ID != \"\"";

    /// <summary>Ten times the largest ring that was measured.</summary>
    private const int MaxMembers = 10_000;

    private volatile bool _rejectsFilters;

    /// <param name="wantsList">False for a response without rows, if the agent knows filters.</param>
    public async Task<ListResponse> RunAsync(ConsulClient client, ulong index, TimeSpan wait, bool wantsList, CancellationToken ct)
    {
        ConsistencyMode mode = options.Consistency switch
        {
            ConsulConsistency.Default => ConsistencyMode.Default,
            ConsulConsistency.Consistent => ConsistencyMode.Consistent,
            _ => ConsistencyMode.Stale,
        };
        var query = new QueryOptions(mode, index, wait);
        string? rejection = null;
        if (!wantsList && !_rejectsFilters)
        {
            try
            {
                QueryResult<List<ServiceEntry>> filtered = await client.Health
                    .Service(options.RegisterServiceName, query with { Filter = NoRows }, ct).ConfigureAwait(false);

                // An agent that is too old for filters ignores them.
                return Checked(filtered, isList: filtered.Response.Count > 0);
            }
            catch (ConsulRequestException ex) when (IsAboutFilter(ex))
            {
                rejection = ex.Message;
            }
        }

        QueryResult<List<ServiceEntry>> result = await client.Health.Service(options.RegisterServiceName, query, ct).ConfigureAwait(false);
        if (rejection is not null && !_rejectsFilters)
        {
            _rejectsFilters = true;
            Log.ConsulRejectsFilters(logger, rejection);
        }

        return Checked(result, isList: true);
    }

    /// <summary>Agents of 1.8 reject an expression with 500. If the query fails without it too, the filter was not the reason.</summary>
    private static bool IsAboutFilter(ConsulRequestException ex) => ex.StatusCode == HttpStatusCode.BadRequest
        || (ex.StatusCode == HttpStatusCode.InternalServerError
            && (ex.Text.Contains("expression", StringComparison.OrdinalIgnoreCase) || ex.Text.Contains("selector", StringComparison.OrdinalIgnoreCase)));

    private ListResponse Checked(QueryResult<List<ServiceEntry>> result, bool isList)
    {
        if (result.FilteredByAcls) throw new ConsulRequestException(HttpStatusCode.Forbidden, "the token's permissions hide some instances", null);
        if (isList) CheckSize(result.Response);
        ulong index = result.LastIndex ?? throw new InvalidDataException("the response has no X-Consul-Index");
        return new ListResponse(result.Response, Math.Max(1, index), result.LastContact, result.KnownLeader, isList);
    }

    /// <summary>All of a list or nothing: a part of it would make another ring than the other instances have.</summary>
    private void CheckSize(List<ServiceEntry> rows)
    {
        int[] weights =
        [
            .. rows.GroupBy(static row => (row.Address, row.Service?.Port))
                .Select(same => sharding.ConsulWeights ? same.Max(static row => row.Service is { } service ? ConsulWeights.Of(service) : 1) : 1),
        ];
        int gateways = weights.Length;
        if (gateways > MaxMembers) throw new ResponseTooLargeException($"{gateways} gateways: a ring has at most {MaxMembers} members");
        long weight = weights.Sum(static each => (long)each);
        if (weight * sharding.Replicas > ShardingOptions.MaxPoints)
        {
            string together = weight == gateways ? "" : $" of weight {weight} together";
            throw new ResponseTooLargeException(
                $"{gateways} gateways{together} with sharding.replicas {sharding.Replicas}: a ring has at most {ShardingOptions.MaxPoints} points");
        }
    }
}

/// <summary>A usable response.</summary>
/// <param name="Rows">Of the whole list; otherwise empty.</param>
/// <param name="Index">At least 1.</param>
/// <param name="IsList">There is a list in the response, not only its index.</param>
internal sealed record ListResponse(List<ServiceEntry> Rows, ulong Index, TimeSpan? LastContact, bool KnownLeader, bool IsList);
