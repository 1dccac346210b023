using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>
/// Decides what the next blocking query asks for: the rows that fail, the index alone, or the whole list. See docs/decisions/0022-polls.md. One
/// caller at a time, except for <see cref="IsPatched"/>.
/// </summary>
internal sealed class PollPlan(TimeProvider time, Random random)
{
    /// <summary>Short, because the agent keeps an abandoned query until its wait is over.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(60);

    /// <summary>
    /// While the cluster has no leader. A blocking query says of the leader what was true when the query began, so the next one tells whether there
    /// is one again.
    /// </summary>
    private static readonly TimeSpan WaitWithoutLeader = TimeSpan.FromSeconds(15);

    /// <summary>A follower hears from its leader several times a second.</summary>
    private static readonly TimeSpan LongContact = TimeSpan.FromSeconds(2);

    /// <summary>The whole list follows so long after a change that was explained, or up to twice as long again.</summary>
    private static readonly TimeSpan VerifyAfter = TimeSpan.FromSeconds(5);

    /// <summary>While a copy that should follow does not, and other checks begin to fail, a list stays unread for so long at most.</summary>
    private static readonly TimeSpan LongestUnread = TimeSpan.FromSeconds(15);

    /// <summary>The age at which the list is read again although its index is the same: a hint may be wrong, and permissions may change.</summary>
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(15);

    /// <summary>With more rows that fail, reading them each minute is wasted work.</summary>
    private const int MaxFailing = 64;

    private volatile bool _isPatched;
    private long _patchedAt;

    /// <summary>The last query has waited for the other copy of a gateway in vain.</summary>
    private bool _hasWaited;
    private long _readAt;
    private bool _hasLeader = true;

    /// <summary>The last list is one that was explained, and not yet read.</summary>
    public bool IsPatched => _isPatched;

    /// <summary>Since the watch last read the whole list.</summary>
    public TimeSpan Age => time.GetElapsedTime(_readAt);

    /// <param name="rows">The last list.</param>
    public (Selection Selection, TimeSpan Wait) Next(ulong index, List<ServiceEntry> rows)
    {
        TimeSpan wait = _hasLeader ? Wait : WaitWithoutLeader;
        if (index == 0 || rows.Count == 0 || Age >= MaxAge) return (Selection.All, wait);
        if (!_isPatched) return (rows.Count(RowPatch.IsFailing) <= MaxFailing ? Selection.Failing : Selection.None, wait);

        // The other copy of a gateway is about to follow, and a list is not needed before it has.
        wait = VerifyAfter * (1 + (2 * random.NextDouble()));
        bool waitsForCopy = !_hasWaited && time.GetElapsedTime(_patchedAt) < LongestUnread && RowPatch.CopiesDisagree(rows);
        return (waitsForCopy ? Selection.Failing : Selection.All, wait);
    }

    /// <summary>After each response to the watch.</summary>
    public void Responded(ListResponse response, bool isPatched)
    {
        bool isList = response.IsList;
        _hasLeader = response.KnownLeader && !(response.LastContact > LongContact);
        _hasWaited = !isList;
        if (isList && !isPatched) _readAt = time.GetTimestamp();
    }

    /// <summary>There is a new last list.</summary>
    public void Replaced(bool isPatched)
    {
        if (isPatched && !_isPatched) _patchedAt = time.GetTimestamp();
        _isPatched = isPatched;
    }
}
