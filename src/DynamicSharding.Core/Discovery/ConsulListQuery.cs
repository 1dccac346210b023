using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>Queries the list of a service's instances, a part of it, or only its index, and checks what comes back.</summary>
internal sealed class ConsulListQuery(ConsulOptions options, ShardingOptions sharding, ILogger logger, TimeProvider time)
{
    /// <summary>Ten times the largest ring that was measured.</summary>
    private const int MaxMembers = 10_000;

    /// <summary>An agent that is replaced, or one mixed-up response, must not cost lists forever.</summary>
    private static readonly TimeSpan PauseOfFilters = TimeSpan.FromMinutes(10);

    /// <summary>A timestamp; 0 without a rejection since the last filter that worked.</summary>
    private long _rejectedAt;

    /// <param name="selection">What the response should have, if the agent knows filters.</param>
    public async Task<ListResponse> RunAsync(ConsulClient client, ulong index, TimeSpan wait, RowSelection selection, CancellationToken ct)
    {
        ConsistencyMode mode = options.Consistency switch
        {
            ConsulConsistency.Default => ConsistencyMode.Default,
            ConsulConsistency.Consistent => ConsistencyMode.Consistent,
            _ => ConsistencyMode.Stale,
        };
        var query = new QueryOptions(mode, index, wait);
        string? rejection = null;
        long rejectedAt = Volatile.Read(ref _rejectedAt);
        if (selection.Filter is { } filter && (rejectedAt == 0 || time.GetElapsedTime(rejectedAt) >= PauseOfFilters))
        {
            try
            {
                QueryResult<List<ServiceEntry>> filtered = await client.Health
                    .Service(options.RegisterServiceName, query with { Filter = filter }, ct)
                    .ConfigureAwait(false);

                if (filtered.Response.TrueForAll(selection.Has))
                {
                    if (Interlocked.Exchange(ref _rejectedAt, 0) != 0) Log.ConsulAppliesFilters(logger);
                    return Checked(filtered, selection.Rows);
                }

                // An agent that is too old for filters ignores them. But one such row does not make the response a list: a proxy may have mixed
                // up two queries. So the list is read without a filter, now and for some time.
                rejection = "a response has instances that the filter excludes";
            }
            catch (ConsulRequestException ex) when (IsAboutFilter(ex))
            {
                rejection = ex.Message;
            }
        }

        QueryResult<List<ServiceEntry>> result = await client.Health.Service(options.RegisterServiceName, query, ct).ConfigureAwait(false);
        if (rejection is not null && Interlocked.Exchange(ref _rejectedAt, time.GetTimestamp()) == 0) Log.ConsulRejectsFilters(logger, rejection);

        return Checked(result, Selection.All);
    }

    /// <summary>Agents of 1.8 reject an expression with 500. If the query fails without it too, the filter was not the reason.</summary>
    private static bool IsAboutFilter(ConsulRequestException ex) => ex.StatusCode == HttpStatusCode.BadRequest
        || (ex.StatusCode == HttpStatusCode.InternalServerError
            && (ex.Text.Contains("expression", StringComparison.OrdinalIgnoreCase) || ex.Text.Contains("selector", StringComparison.OrdinalIgnoreCase)));

    private ListResponse Checked(QueryResult<List<ServiceEntry>> result, Selection selection)
    {
        if (result.FilteredByAcls) throw new ConsulRequestException(HttpStatusCode.Forbidden, "the token's permissions hide some instances", null);
        if (selection == Selection.All) CheckSize(result.Response);
        ulong index = result.LastIndex ?? throw new InvalidDataException("the response has no X-Consul-Index");
        return new ListResponse(result.Response, Math.Max(1, index), result.LastContact, result.KnownLeader, selection);
    }

    /// <summary>All of a list or nothing: a part of it would make another ring than the other instances have.</summary>
    /// <exception cref="ResponseTooLargeException">A ring may not have so many members or points.</exception>
    public void CheckSize(List<ServiceEntry> rows)
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

/// <summary>Which rows of a list a query asks for.</summary>
/// <param name="Also">With <see cref="Selection.Failing"/>: ids of instances to return even if they pass.</param>
internal readonly record struct RowSelection(Selection Rows, ImmutableArray<string> Also)
{
    /// <summary>Contradicts itself, so that no row of any catalog matches: a response with rows is one whose agent ignores filters.</summary>
    private const string NoRows = "Service.ID == \"\" and Service.ID != \"\"";

    /// <summary>Rows of which any check fails, those of the node too.</summary>
    private const string FailingRows = "Checks.Status == \"critical\" or Checks.Status == \"warning\"";

    public static RowSelection All { get; } = new(Selection.All, []);

    public static RowSelection None { get; } = new(Selection.None, []);

    /// <summary>Null for all rows.</summary>
    public string? Filter => Rows switch
    {
        Selection.All => null,
        Selection.None => NoRows,
        _ => FailingRows + string.Concat(Also.Select(static id => $" or Service.ID == \"{id}\"")),
    };

    /// <summary>An agent that knows filters would return this row.</summary>
    public bool Has(ServiceEntry row) => Rows != Selection.None && (RowPatch.IsFailing(row) || Also.Contains(row.Service?.ID ?? ""));
}

/// <summary>Which rows of a list.</summary>
internal enum Selection
{
    All,
    Failing,

    /// <summary>The index alone.</summary>
    None,
}

/// <summary>A usable response.</summary>
/// <param name="Index">At least 1.</param>
/// <param name="Selection">What <paramref name="Rows"/> has.</param>
internal sealed record ListResponse(List<ServiceEntry> Rows, ulong Index, TimeSpan? LastContact, bool? KnownLeader, Selection Selection)
{
    public bool IsList => Selection == Selection.All;
}
