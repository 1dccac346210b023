using System.Collections.Immutable;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>
/// Decides what the next blocking query asks for: the rows that fail, the index alone, or the whole list. See docs/decisions/0022-polls.md. One
/// caller at a time.
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

    /// <summary>So long after the first change that was explained, no further one is waited for, and the list is read.</summary>
    private static readonly TimeSpan LongestUnread = TimeSpan.FromSeconds(15);

    /// <summary>
    /// The age at which the list is read again although its index is the same, up to a fifth more or less: a hint may be wrong, permissions may
    /// change, and Consul 1.8 keeps the index when an instance is registered again as one of another service.
    /// </summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(5);

    /// <summary>With more rows that fail, reading them each minute is wasted work.</summary>
    private const int MaxFailing = 64;

    /// <summary>The servers compare each row of the list with each name.</summary>
    private const int MaxNamed = 20;

    /// <summary>Of the name of an instance in the query.</summary>
    private const int MaxNameChars = 128;

    /// <summary>A name returns the rows of all copies. Older versions have one on each agent.</summary>
    private const int MaxNamedCopies = 4;

    /// <summary>The last list is one that was explained, and not yet read.</summary>
    private bool _isPatched;
    private long _patchedAt;

    /// <summary>And its newest rows are of instances that no check has seen yet.</summary>
    private bool _hasNewRows;

    /// <summary>The last query has waited for another change in vain.</summary>
    private bool _hasWaited;
    private long _readAt;
    private TimeSpan _maxAge = MaxAge;
    private bool _hasLeader = true;

    /// <summary>Since the watch last read the whole list.</summary>
    public TimeSpan Age => time.GetElapsedTime(_readAt);

    /// <param name="rows">The last list.</param>
    public (RowSelection Selection, TimeSpan Wait) Next(ulong index, List<ServiceEntry> rows)
    {
        TimeSpan wait = _hasLeader ? Wait : WaitWithoutLeader;
        if (index == 0 || rows.Count == 0 || Age >= _maxAge) return (RowSelection.All, wait);
        ServiceEntry[] failing = [.. rows.Where(RowPatch.IsFailing)];
        RowSelection changes = failing.Length <= MaxFailing ? new RowSelection(Selection.Failing, Named(failing, rows)) : RowSelection.None;
        if (!_isPatched) return (changes, wait);

        // The other copy of a gateway is about to follow, or the first check of a new one, and a list is not needed before it has.
        wait = VerifyAfter * (1 + (2 * random.NextDouble()));
        bool isMoreExpected = !_hasWaited && time.GetElapsedTime(_patchedAt) < LongestUnread && (_hasNewRows || RowPatch.CopiesDisagree(rows));
        return (isMoreExpected ? changes : RowSelection.All, wait);
    }

    /// <summary>A row that passes again is in the response if the query names it. Otherwise that needs a list.</summary>
    /// <returns>In one order on all instances: a streaming agent has a view for each expression.</returns>
    private static ImmutableArray<string> Named(ServiceEntry[] failing, List<ServiceEntry> rows) =>
    [
        .. failing.Select(static row => row.Service?.ID).OfType<string>().Where(IsNameable).Distinct(StringComparer.Ordinal)
            .Where(id => rows.Count(row => row.Service?.ID == id) <= MaxNamedCopies).Order(StringComparer.Ordinal).Take(MaxNamed),
    ];

    /// <summary>An id can be any text, and no expression should depend on how an agent reads quotes in it.</summary>
    private static bool IsNameable(string id) =>
        id is { Length: > 0 and <= MaxNameChars } && id.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or ':' or '[' or ']');

    /// <summary>After each response to the watch.</summary>
    public void Responded(ListResponse response, bool isPatched)
    {
        bool isList = response.IsList;
        _hasLeader = response.KnownLeader != false && !(response.LastContact > LongContact);
        _hasWaited = !isList;
        if (!isList || isPatched) return;
        _readAt = time.GetTimestamp();
        _maxAge = MaxAge * (0.8 + (0.4 * random.NextDouble()));
    }

    /// <summary>There is a new last list.</summary>
    /// <param name="hasNewRows">It is longer than the one before.</param>
    public void Replaced(bool isPatched, bool hasNewRows)
    {
        if (isPatched && !_isPatched) _patchedAt = time.GetTimestamp();
        _isPatched = isPatched;
        _hasNewRows = isPatched && hasNewRows;
    }
}
