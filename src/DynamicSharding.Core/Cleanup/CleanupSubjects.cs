namespace DynamicSharding.Cleanup;

/// <summary>
/// The groups that a pass is about, with their owners, and the room for their copies: what clients push must not decide how much memory a pass
/// takes. What finds no room waits for another pass.
/// </summary>
/// <param name="mostGroups">How many there may be.</param>
/// <param name="mostBytes">About how much their copies may take. Beyond it, there are no new groups.</param>
internal sealed class CleanupSubjects(int mostGroups = CleanupSubjects.MostGroups, long mostBytes = CleanupSubjects.MostBytes)
{
    private const int MostGroups = 200_000;

    /// <summary>For more than 100,000 stale copies of ordinary groups, with the copies of their owners.</summary>
    private const long MostBytes = 128L << 20;

    /// <summary>Objects and dictionary entries of a copy: an estimate that the text of its labels is added to.</summary>
    private const int CopyBytes = 300;

    private readonly Dictionary<string, string?> _ownerOf = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _bytes = new(StringComparer.Ordinal);
    private object? _lastFamilies;
    private long _total;

    /// <summary>By group key; null if nobody can tell.</summary>
    public IReadOnlyDictionary<string, string?> Owners => _ownerOf;

    public bool Contains(string key) => _ownerOf.ContainsKey(key);

    /// <summary>The copies of a gateway are read, perhaps again.</summary>
    public void Begin(string address)
    {
        _total -= _bytes.GetValueOrDefault(address);
        _bytes[address] = 0;
        _lastFamilies = null;
    }

    /// <summary>Makes room for a copy of a group that may be new.</summary>
    /// <returns>False if there is none, for a new group.</returns>
    /// <exception cref="PushgatewayException">There is none for a known group, which needs all of its copies: the gateway counts as not read.</exception>
    public bool TryAdd(string address, PushgatewayGroup copy, string? owner)
    {
        long size = SizeOf(copy);
        bool isKnown = _ownerOf.ContainsKey(copy.Key);
        if (!isKnown && (_ownerOf.Count >= mostGroups || _total + size > mostBytes)) return false;
        if (_total + size > 2 * mostBytes) throw new PushgatewayException($"{address}: the copies to judge need more than {2 * mostBytes >> 20} MiB");
        if (!isKnown) _ownerOf[copy.Key] = owner;

        _lastFamilies = copy.FamiliesIdentity;
        _total += size;
        _bytes[address] = _bytes.GetValueOrDefault(address) + size;
        return true;
    }

    /// <summary>The labels and the key have the same characters. Groups of a reading share their families while they have the same.</summary>
    private long SizeOf(PushgatewayGroup copy)
    {
        long size = CopyBytes + (4L * copy.Key.Length);
        if (ReferenceEquals(copy.FamiliesIdentity, _lastFamilies)) return size;
        foreach (MetricFamily family in copy.Families) size += 40 + (2L * family.Name.Length);
        return size;
    }
}
