using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.Ring;

/// <summary>
/// An immutable consistent-hash ring, bit-compatible with the original program's. A lookup reads one entry of an index over the hash's top
/// bits and then, on average, less than two of the sorted points that lie behind it (docs/decisions/0002-ring-lookup.md).
/// </summary>
internal sealed class HashRing<TMember>
    where TMember : RingMember
{
    private const int OwnerBits = RingPoints.OwnerBits;
    private const ulong OwnerMask = (1UL << OwnerBits) - 1;

    /// <summary>A point's position above its owner's number, ascending; the last entry is the first point once more, one turn later.</summary>
    private readonly ulong[] _points;

    /// <summary>For each value of the top bits: the first point that is not before them.</summary>
    private readonly int[] _index;
    private readonly int _indexShift;
    private readonly TMember[] _owners;

    private HashRing(TMember[] gateways, ulong[] points, string fingerprint)
    {
        _owners = gateways;
        _points = points;
        Members = ImmutableArray.Create(gateways);
        Fingerprint = fingerprint;

        // As many slots as points, rounded up: at most one point per slot on average. At least two, because a shift by 32 is a shift by 0.
        int bits = Math.Max(1, BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)PointCount)));
        _indexShift = 32 - bits;
        _index = BuildIndex(points, bits);
    }

    /// <summary>The members, sorted ordinally by address.</summary>
    public ImmutableArray<TMember> Members { get; }

    /// <summary>16 hex digits: equal on every instance with the same members, replicas and key mode (<see cref="RingFingerprint"/>).</summary>
    public string Fingerprint { get; }

    /// <summary>Distinct points: members times replicas, less those that collided.</summary>
    public int PointCount => _points.Length - 1;

    /// <param name="members">At least one; the order does not matter.</param>
    /// <param name="replicas">Points per member.</param>
    /// <param name="keyMode"><c>group</c> or <c>path</c>; part of the fingerprint only.</param>
    public static HashRing<TMember> Build(IEnumerable<TMember> members, int replicas, string keyMode)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        TMember[] gateways = [.. members];
        if (gateways.Length == 0) throw new ArgumentException("A ring has at least one member.", nameof(members));
        Array.Sort(gateways, static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        return new HashRing<TMember>(gateways, RingPoints.Build(gateways, replicas), RingFingerprint.Compute(gateways, replicas, keyMode));
    }

    /// <summary>The owner: the gateway of the first point strictly greater than the hash, wrapping.</summary>
    public TMember Find(uint hash) => _owners[(int)(_points[FirstPointAfter(hash)] & OwnerMask)];

    /// <summary>The gateway that would own the hash if its owner left; null on a ring of one.</summary>
    public TMember? FindRunnerUp(uint hash)
    {
        int start = FirstPointAfter(hash);
        ulong owner = _points[start] & OwnerMask;
        for (int i = 1; i <= PointCount; i++)
        {
            ulong next = _points[(start + i) % PointCount] & OwnerMask;
            if (next != owner) return _owners[(int)next];
        }

        return null;
    }

    /// <summary>Each gateway's share of the hash space, in the order of <see cref="Members"/>; sums to 1.</summary>
    public double[] OwnershipRatios()
    {
        var widths = new ulong[_owners.Length];
        for (int i = 1; i < _points.Length; i++)
        {
            widths[(int)(_points[i] & OwnerMask)] += (_points[i] >> OwnerBits) - (_points[i - 1] >> OwnerBits);
        }

        return Array.ConvertAll(widths, static width => width / 4294967296.0);
    }

    /// <summary>The share of the hash space (0 to 1) whose owner differs between the two rings.</summary>
    public static double MovedRatio(HashRing<TMember> before, HashRing<TMember> after)
    {
        int[] numberAfter = NumbersOf(before, after);
        ulong moved = 0;
        ulong previous = 0;
        int b = 0;
        int a = 0;

        // Both lists of points are walked once; between two neighbouring edges the owners are those of the next point on either side.
        while (previous <= uint.MaxValue)
        {
            ulong edgeBefore = before._points[b] >> OwnerBits;
            ulong edgeAfter = after._points[a] >> OwnerBits;
            ulong edge = Math.Min(Math.Min(edgeBefore, edgeAfter), 1UL << 32);
            if (numberAfter[(int)(before._points[b] & OwnerMask)] != (int)(after._points[a] & OwnerMask)) moved += edge - previous;
            if (edgeBefore == edge) b++;
            if (edgeAfter == edge) a++;
            previous = edge;
        }

        return moved / 4294967296.0;
    }

    /// <summary>For each member of the first ring its number in the second, or -1.</summary>
    private static int[] NumbersOf(HashRing<TMember> before, HashRing<TMember> after)
    {
        var numbers = new Dictionary<string, int>(after._owners.Length, StringComparer.Ordinal);
        for (int i = 0; i < after._owners.Length; i++) numbers[after._owners[i].Name] = i;
        return Array.ConvertAll(before._owners, gateway => numbers.GetValueOrDefault(gateway.Name, -1));
    }

    private static int[] BuildIndex(ulong[] points, int bits)
    {
        var index = new int[1 << bits];
        int point = 0;
        for (int slot = 0; slot < index.Length; slot++)
        {
            ulong start = (ulong)slot << (32 - bits);
            while (points[point] >> OwnerBits < start) point++;
            index[slot] = point;
        }

        return index;
    }

    private int FirstPointAfter(uint hash)
    {
        // The last entry lies beyond every hash, so the walk ends without a test for the array's end.
        int i = _index[hash >> _indexShift];
        while (_points[i] >> OwnerBits <= hash) i++;
        return i;
    }
}

/// <summary>What a ring distributes over; unsealed, because whoever uses a ring says what a member is besides its name.</summary>
internal class RingMember(string name)
{
    /// <summary>What is hashed, and what the members are sorted by.</summary>
    public string Name { get; } = name;
}

/// <summary>
/// What two instances compare to know that they send every group to the same gateway: the first eight bytes, in lower-case hex, of the
/// SHA-256 of this text in UTF-8: the members' addresses sorted ordinally and joined by commas, a line feed, the replicas in decimal, a
/// line feed, the key mode (<c>group</c> or <c>path</c>). No line feed at the end.
/// </summary>
internal static class RingFingerprint
{
    private const int Bytes = 8;

    public static string Compute(ReadOnlySpan<RingMember> sorted, int replicas, string keyMode)
    {
        var text = new StringBuilder();
        foreach (RingMember gateway in sorted)
        {
            if (text.Length > 0) text.Append(',');
            text.Append(gateway.Name);
        }

        text.Append(CultureInfo.InvariantCulture, $"\n{replicas}\n{keyMode}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, Bytes));
    }
}
