namespace DynamicSharding.Ring;

/// <summary>The effect of a change of members on a sample of keys: how many move, from where to where, and what each member owns.</summary>
internal sealed class RingComparison<TMember>
    where TMember : RingMember
{
    private readonly SortedDictionary<(string From, string To), int> _moves = [];
    private readonly SortedDictionary<string, GatewayShare> _shares = new(StringComparer.Ordinal);

    public RingComparison(HashRing<TMember> before, HashRing<TMember> after, IEnumerable<uint> hashes)
    {
        AddShares(before, static (share, ratio) => share with { RatioBefore = ratio });
        AddShares(after, static (share, ratio) => share with { RatioAfter = ratio });
        foreach (uint hash in hashes)
        {
            string from = before.Find(hash).Name;
            string to = after.Find(hash).Name;
            Keys++;
            _shares[from] = _shares[from] with { KeysBefore = _shares[from].KeysBefore + 1 };
            _shares[to] = _shares[to] with { KeysAfter = _shares[to].KeysAfter + 1 };
            if (from == to) continue;
            Moved++;
            _moves[(from, to)] = _moves.GetValueOrDefault((from, to)) + 1;
        }

        MovedRatio = HashRing<TMember>.MovedRatio(before, after);
    }

    public int Keys { get; }

    public int Moved { get; }

    /// <summary>The share of the whole hash space (0 to 1), not of the sample.</summary>
    public double MovedRatio { get; }

    public IReadOnlyDictionary<(string From, string To), int> Moves => _moves;

    /// <summary>Every member of either ring, sorted by name.</summary>
    public IReadOnlyCollection<GatewayShare> Shares => _shares.Values;

    private void AddShares(HashRing<TMember> ring, Func<GatewayShare, double, GatewayShare> set)
    {
        double[] ratios = ring.OwnershipRatios();
        for (int i = 0; i < ratios.Length; i++)
        {
            string address = ring.Members[i].Name;
            _shares[address] = set(_shares.GetValueOrDefault(address) ?? new GatewayShare(address), ratios[i]);
        }
    }
}

/// <summary>A member's share before and after a change; a ratio (0 to 1) is null if it is not a member then.</summary>
internal sealed record GatewayShare(
    string Address, double? RatioBefore = null, double? RatioAfter = null, int KeysBefore = 0, int KeysAfter = 0);
