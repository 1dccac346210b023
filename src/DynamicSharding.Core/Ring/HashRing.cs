using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.Ring;

/// <summary>An immutable consistent-hash ring, bit-compatible with the original program's.</summary>
internal sealed class HashRing
{
    private readonly uint[] _points;
    private readonly int[] _owners;

    private HashRing(ImmutableArray<Gateway> gateways, uint[] points, int[] owners, string fingerprint)
    {
        Gateways = gateways;
        _points = points;
        _owners = owners;
        Fingerprint = fingerprint;
    }

    /// <summary>The members, sorted ordinally by address.</summary>
    public ImmutableArray<Gateway> Gateways { get; }

    /// <summary>16 hex digits: equal on every instance with the same members, replicas and key mode.</summary>
    public string Fingerprint { get; }

    /// <param name="members">At least one; the order does not matter.</param>
    /// <param name="replicas">Points per member.</param>
    /// <param name="keyMode"><c>group</c> or <c>path</c>; part of the fingerprint only.</param>
    public static HashRing Build(IEnumerable<Gateway> members, int replicas, string keyMode)
    {
        ImmutableArray<Gateway> gateways = [.. members.OrderBy(g => g.Address, StringComparer.Ordinal)];
        if (gateways.IsEmpty) throw new ArgumentException("A ring has at least one member.", nameof(members));
        var points = new SortedDictionary<uint, int>();
        for (int g = 0; g < gateways.Length; g++)
        {
            for (int i = 0; i < replicas; i++)
            {
                string point = i.ToString(CultureInfo.InvariantCulture) + gateways[g].Address;
                points[MurmurHash3.Hash32(Encoding.UTF8.GetBytes(point))] = g;
            }
        }

        string text = string.Join(',', gateways.Select(g => g.Address)) + "\n" + replicas.ToString(CultureInfo.InvariantCulture) + "\n" + keyMode;
        string fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
        return new HashRing(gateways, [.. points.Keys], [.. points.Values], fingerprint);
    }

    /// <summary>The owner: the gateway of the first point strictly greater than the hash, wrapping.</summary>
    public Gateway Find(uint hash) => Gateways[_owners[FirstPointAfter(hash)]];

    /// <summary>The gateway that would own the hash if its owner left; null on a ring of one.</summary>
    public Gateway? FindRunnerUp(uint hash)
    {
        int start = FirstPointAfter(hash);
        for (int i = 1; i < _owners.Length; i++)
        {
            int owner = _owners[(start + i) % _owners.Length];
            if (owner != _owners[start]) return Gateways[owner];
        }

        return null;
    }

    /// <summary>Each gateway's share of the hash space, in the order of <see cref="Gateways"/>; sums to 1.</summary>
    public double[] OwnershipRatios()
    {
        var shares = new double[Gateways.Length];
        uint previous = _points[^1];
        for (int i = 0; i < _points.Length; i++)
        {
            shares[_owners[i]] += unchecked(_points[i] - previous) / 4294967296.0;
            previous = _points[i];
        }

        return shares;
    }

    /// <summary>The share of the hash space (0 to 1) whose owner differs between the two rings.</summary>
    public static double MovedRatio(HashRing before, HashRing after)
    {
        uint[] edges = [.. before._points.Union(after._points).Order()];
        double moved = 0;
        uint previous = edges[^1];
        foreach (uint edge in edges)
        {
            if (before.Find(previous).Address != after.Find(previous).Address) moved += unchecked(edge - previous) / 4294967296.0;
            previous = edge;
        }

        return moved;
    }

    private int FirstPointAfter(uint hash)
    {
        int i = Array.BinarySearch(_points, hash);
        i = i >= 0 ? i + 1 : ~i;
        return i == _points.Length ? 0 : i;
    }
}
