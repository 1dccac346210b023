using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Membership;

/// <summary>
/// The addresses that left the ring most recently. Discovery can bring new ones endlessly, so what is kept for their return is bounded.
/// </summary>
internal sealed class FormerMembers
{
    /// <summary>At least so many are remembered, at most twice as many: a few megabytes at three kilobytes each.</summary>
    public const int Remembered = 1024;

    private readonly Dictionary<string, (long Change, long? At)> _leftAt = new(StringComparer.Ordinal);
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal);
    private long _changes;

    /// <summary>When those left that may still hold groups, and that the operator does not refuse.</summary>
    public ImmutableDictionary<string, long> LeftAt => _leftAt.Where(former => former.Value.At is not null && !_refused.Contains(former.Key))
        .ToImmutableDictionary(static former => former.Key, static former => former.Value.At!.Value, StringComparer.Ordinal);

    /// <summary>It holds no group any more. Its counters stay.</summary>
    public void Emptied(string address)
    {
        if (_leftAt.TryGetValue(address, out (long Change, long? At) former)) _leftAt[address] = former with { At = null };
    }

    /// <summary>What is refused gets no request because of us, and stays refused when discovery names it no longer.</summary>
    /// <returns>True if <see cref="LeftAt"/> changes.</returns>
    public bool Judge(IEnumerable<GatewayStatus> known)
    {
        bool isChanged = false;
        foreach (GatewayStatus gateway in known)
        {
            if (!_leftAt.ContainsKey(gateway.Address)) continue;
            isChanged |= gateway.State == GatewayState.Refused ? _refused.Add(gateway.Address) : _refused.Remove(gateway.Address);
        }

        return isChanged;
    }

    /// <summary>
    /// New rules for those that nobody names; <see cref="Judge"/> has the last word on the others. Rules that stay the same do not refuse a gateway
    /// that the file no longer names: it was allowed because the file named it.
    /// </summary>
    public void Apply(AllowedGateways rules)
    {
        _refused.Clear();
        _refused.UnionWith(_leftAt.Keys.Where(address => !rules.Allows(address, isConfigured: false)));
    }

    /// <param name="before">Null before the first ring.</param>
    /// <param name="after">The ring that replaced it, if any.</param>
    /// <param name="now">A timestamp of the clock.</param>
    /// <returns>The addresses that are forgotten.</returns>
    public IReadOnlyList<string> Update(HashRing<Gateway>? before, HashRing<Gateway>? after, long now)
    {
        _changes++;
        foreach (Gateway gateway in before?.Members ?? []) _leftAt[gateway.Address] = (_changes, now);
        foreach (Gateway gateway in after?.Members ?? [])
        {
            _leftAt.Remove(gateway.Address);
            _refused.Remove(gateway.Address);
        }

        if (_leftAt.Count <= 2 * Remembered) return [];
        string[] oldest = [.. _leftAt.OrderBy(static former => former.Value.Change).Take(_leftAt.Count - Remembered).Select(static former => former.Key)];
        foreach (string address in oldest) _leftAt.Remove(address);
        _refused.IntersectWith(_leftAt.Keys);
        return oldest;
    }
}
