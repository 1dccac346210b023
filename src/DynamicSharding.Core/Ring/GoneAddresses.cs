namespace DynamicSharding.Ring;

/// <summary>The addresses that left the ring last. Discovery may bring new ones without end; what is kept for their return is bounded.</summary>
internal sealed class GoneAddresses
{
    /// <summary>At three kilobytes for each, a few megabytes. Between one and two times as many are remembered.</summary>
    public const int Remembered = 1024;

    private readonly Dictionary<string, long> _leftAt = new(StringComparer.Ordinal);
    private long _changes;

    /// <param name="before">Null before the first.</param>
    /// <param name="after">The one that took its place; null when none did.</param>
    /// <returns>Those that are remembered no longer.</returns>
    public IReadOnlyList<string> Update(HashRing? before, HashRing? after)
    {
        _changes++;
        if (before is not null)
        {
            foreach (Gateway gateway in before.Gateways) _leftAt[gateway.Address] = _changes;
        }

        foreach (Gateway gateway in after?.Gateways ?? []) _leftAt.Remove(gateway.Address);
        if (_leftAt.Count <= 2 * Remembered) return [];
        string[] oldest = [.. _leftAt.OrderBy(static gone => gone.Value).Take(_leftAt.Count - Remembered).Select(static gone => gone.Key)];
        foreach (string address in oldest) _leftAt.Remove(address);
        return oldest;
    }
}
