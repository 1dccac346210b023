using System.Collections.Immutable;

namespace DynamicSharding.Membership;

/// <summary>The recent member sets, to measure how many were lost: checks fail one after the other, not at once.</summary>
internal sealed class RingHistory
{
    private readonly List<(TimeSpan From, ImmutableArray<string> Members)> _sets = [];

    /// <summary>Only before the first ring.</summary>
    public bool IsEmpty => _sets.Count == 0;

    public void Add(TimeSpan from, ImmutableArray<string> members) => _sets.Add((from, members));

    /// <summary>The largest set in force at or after a moment, counting only some members; the newest of equals.</summary>
    public IReadOnlyCollection<string> LargestSince(TimeSpan moment, Func<string, bool> counts)
    {
        List<string> largest = [];
        for (int i = _sets.Count - 1; i >= 0; i--)
        {
            List<string> members = [.. _sets[i].Members.Where(counts)];
            if (members.Count > largest.Count) largest = members;

            // A set is in force until the next begins, so the first that began before the moment is the last to count.
            if (_sets[i].From <= moment) break;
        }

        return largest;
    }

    /// <summary>Removes members that an operator took out: they never count as lost.</summary>
    public void Remove(ImmutableArray<string> members)
    {
        for (int i = 0; i < _sets.Count; i++) _sets[i] = (_sets[i].From, [.. _sets[i].Members.Except(members)]);
    }

    /// <summary>Drops the sets that were replaced before a moment.</summary>
    public void Prune(TimeSpan before)
    {
        int old = _sets.FindLastIndex(set => set.From <= before);
        if (old > 0) _sets.RemoveRange(0, old);
    }
}
