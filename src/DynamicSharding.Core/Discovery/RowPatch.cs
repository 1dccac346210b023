using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>
/// Derives the new list from the last one and the rows that fail now. Nearly every change of a list that matters is a check that begins to fail,
/// and its row is all that is new.
/// </summary>
internal static class RowPatch
{
    /// <summary>Any check of the instance or its node.</summary>
    public static bool IsFailing(ServiceEntry row) =>
        row.Checks?.Any(static check => check.Status is HealthStatus.Critical or HealthStatus.Warning) == true;

    /// <param name="known">The last list.</param>
    /// <param name="failing">All rows that fail now.</param>
    /// <param name="since">The index of the last list.</param>
    /// <param name="index">Of the response with these rows.</param>
    /// <returns>
    /// Null unless a check that fails is what the index is of: a row that no longer fails may also be gone, a row may be new, and one that
    /// fails may be older than the list.
    /// </returns>
    public static List<ServiceEntry>? Apply(List<ServiceEntry> known, List<ServiceEntry> failing, ulong since, ulong index)
    {
        var left = new Dictionary<(string?, string?), ServiceEntry>(failing.Count);
        ulong newest = 0;
        foreach (ServiceEntry row in failing)
        {
            if (!left.TryAdd(Key(row), row)) return null;
            foreach (HealthCheck check in row.Checks!) newest = Math.Max(newest, check.ModifyIndex);
        }

        if (newest != index) return null;
        var rows = new List<ServiceEntry>(known.Count);
        foreach (ServiceEntry row in known)
        {
            if (!left.Remove(Key(row), out ServiceEntry? now))
            {
                if (IsFailing(row)) return null;
                rows.Add(row);
                continue;
            }

            if (!IsFailing(row) && !now.Checks!.Any(check => check.ModifyIndex > since)) return null;
            rows.Add(now);
        }

        return left.Count == 0 ? rows : null;
    }

    /// <summary>Some copy of a gateway has another status than the other: the check of the other is about to run.</summary>
    public static bool CopiesDisagree(List<ServiceEntry> rows) => rows
        .Where(static row => row.Service is not null && row.IsOnLiveNode)
        .GroupBy(static row => (row.Address, row.Service!.Port))
        .Any(static copies => copies.Select(IsPassing).Distinct().Count() > 1);

    private static (string? Node, string? Service) Key(ServiceEntry row) => (row.Node?.Name, row.Service?.ID);

    private static bool IsPassing(ServiceEntry row) =>
        row.Checks?.All(check => check.ServiceID != row.Service?.ID || check.Status == HealthStatus.Passing) == true;
}
