using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>
/// Derives the new list from the last one and the rows that fail now, or failed in the last one. Nearly every change of a list is a check with
/// another status, and its row is all that is new.
/// </summary>
internal static class RowPatch
{
    /// <summary>Any check of the instance or its node.</summary>
    public static bool IsFailing(ServiceEntry row) =>
        row.Checks?.Any(static check => check.Status is HealthStatus.Critical or HealthStatus.Warning) == true;

    /// <param name="known">The last list.</param>
    /// <param name="found">All rows that fail now, and those that failed in the last list, if they were asked for.</param>
    /// <param name="since">The index of the last list.</param>
    /// <param name="index">Of the response with these rows.</param>
    /// <returns>
    /// Null unless a check among these rows is what the index is of: a row may be gone, or one that passes may be new or different. Null also if
    /// a row is older than the list.
    /// </returns>
    public static List<ServiceEntry>? Apply(List<ServiceEntry> known, List<ServiceEntry> found, ulong since, ulong index)
    {
        var left = new Dictionary<(string?, string?), ServiceEntry>(found.Count);
        ulong newest = 0;
        foreach (ServiceEntry row in found)
        {
            if (!left.TryAdd(Key(row), row)) return null;
            foreach (HealthCheck check in row.Checks ?? []) newest = Math.Max(newest, check.ModifyIndex);
        }

        if (newest != index) return null;
        var rows = new List<ServiceEntry>(known.Count + left.Count);
        foreach (ServiceEntry row in known)
        {
            bool isFailing = IsFailing(row);
            if (!left.Remove(Key(row), out ServiceEntry? now))
            {
                if (isFailing) return null;
                rows.Add(row);
                continue;
            }

            if (IsFailing(now) != isFailing && !now.Checks!.Any(check => check.ModifyIndex > since)) return null;
            rows.Add(now);
        }

        foreach (ServiceEntry row in left.Values)
        {
            if (!IsNew(row, since)) return null;
            rows.Add(row);
        }

        return rows;
    }

    /// <summary>Some copy of a gateway has another status than the other: the check of the other is about to run.</summary>
    public static bool CopiesDisagree(List<ServiceEntry> rows) => rows
        .Where(static row => row.Service is not null && row.IsOnLiveNode)
        .GroupBy(static row => (row.Address, row.Service!.Port))
        .Any(static copies => copies.Select(IsPassing).Distinct().Count() > 1);

    /// <summary>Its checks were written with it. A new one fails until it has run.</summary>
    private static bool IsNew(ServiceEntry row, ulong since)
    {
        HealthCheck[] own = [.. (row.Checks ?? []).Where(check => check.ServiceID == row.Service?.ID)];
        return own.Length > 0 && Array.TrueForAll(own, check => check.ModifyIndex > since);
    }

    private static (string? Node, string? Service) Key(ServiceEntry row) => (row.Node?.Name, row.Service?.ID);

    private static bool IsPassing(ServiceEntry row) =>
        row.Checks?.All(check => check.ServiceID != row.Service?.ID || check.Status == HealthStatus.Passing) == true;
}
