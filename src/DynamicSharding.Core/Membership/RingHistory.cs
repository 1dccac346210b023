using System.Collections.Immutable;

namespace DynamicSharding.Membership;

/// <summary>The member sets of the recent past, for telling how much was lost: checks fail one after the other, not at once.</summary>
internal sealed class RingHistory
{
    private readonly List<(TimeSpan From, ImmutableArray<string> Members)> _sets = [];

    public void Add(TimeSpan from, ImmutableArray<string> members) => _sets.Add((from, members));

    /// <summary>The largest set that was in force at or after a moment, without those that are not counted; the newest of equals.</summary>
    public IReadOnlyCollection<string> LargestSince(TimeSpan moment, Func<string, bool> counts)
    {
        List<string> largest = [];
        for (int i = _sets.Count - 1; i >= 0; i--)
        {
            List<string> members = [.. _sets[i].Members.Where(counts)];
            if (members.Count > largest.Count) largest = members;

            // A set is in force until the next one begins: the first that began before the moment is the last to count.
            if (_sets[i].From <= moment) break;
        }

        return largest;
    }

    /// <summary>Members that an operator took out were not lost, also once nobody remembers why they left.</summary>
    public void Discount(ImmutableArray<string> members)
    {
        for (int i = 0; i < _sets.Count; i++) _sets[i] = (_sets[i].From, [.. _sets[i].Members.Except(members)]);
    }

    /// <summary>Drops what was replaced before a moment.</summary>
    public void Prune(TimeSpan before)
    {
        int old = _sets.FindLastIndex(set => set.From <= before);
        if (old > 0) _sets.RemoveRange(0, old);
    }
}
