using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.Ring;

/// <summary>
/// An immutable consistent-hash ring, bit-compatible with the original program. A lookup reads one entry of an index over the top bits of the
/// hash and then, on average, less than two sorted points (docs/decisions/0002-ring-lookup.md).
/// </summary>
internal sealed class HashRing<TMember>
    where TMember : RingMember
{
    private const int OwnerBits = RingPoints.OwnerBits;
    private const ulong OwnerMask = (1UL << OwnerBits) - 1;

    /// <summary>Points above the indexes of their owners, ascending; the last entry is the first point again, one turn later.</summary>
    private readonly ulong[] _points;

    /// <summary>For each value of the top bits, the first point that is not below it.</summary>
    private readonly int[] _index;
    private readonly int _indexShift;
    private readonly TMember[] _owners;

    private HashRing(TMember[] members, int[] weights, ulong[] points, string fingerprint)
    {
        _owners = members;
        _points = points;
        Members = ImmutableArray.Create(members);
        Weights = ImmutableArray.Create(weights);
        Fingerprint = fingerprint;

        // At least as many slots as points, so on average at most one point per slot. At least two, because a shift by 32 is a shift by 0.
        int bits = Math.Max(1, BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)PointCount)));
        _indexShift = 32 - bits;
        _index = BuildIndex(points, bits);
    }

    /// <summary>Sorted ordinally by name.</summary>
    public ImmutableArray<TMember> Members { get; }

    /// <summary>In the order of <see cref="Members"/>. They belong to the ring, not to the member: the object of a member outlives its weight.</summary>
    public ImmutableArray<int> Weights { get; }

    /// <summary>Equal on every instance with the same members, weights, replicas and key mode; see <see cref="RingFingerprint"/>.</summary>
    public string Fingerprint { get; }

    /// <summary>Distinct points: the sum of the weights times replicas, minus collisions.</summary>
    public int PointCount => _points.Length - 1;

    /// <param name="members">At least one, in any order.</param>
    /// <param name="replicas">Points per member and unit of weight.</param>
    /// <param name="keyMode"><c>group</c> or <c>path</c>; part of the fingerprint only.</param>
    /// <param name="weightOf">At least 1; null if every member has 1, as in the original.</param>
    /// <exception cref="InvalidOperationException">More than <see cref="RingPoints.MaxPoints"/> points.</exception>
    public static HashRing<TMember> Build(IEnumerable<TMember> members, int replicas, string keyMode, Func<TMember, int>? weightOf = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        TMember[] sorted = [.. members];
        if (sorted.Length == 0) throw new ArgumentException("A ring has at least one member.", nameof(members));
        Array.Sort(sorted, static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        int[] weights = Array.ConvertAll(sorted, member => weightOf is null ? 1 : weightOf(member));
        foreach (int weight in weights) ArgumentOutOfRangeException.ThrowIfLessThan(weight, 1, nameof(weightOf));
        return new HashRing<TMember>(
            sorted, weights, RingPoints.Build(sorted, weights, replicas), RingFingerprint.Compute(sorted, weights, replicas, keyMode));
    }

    /// <summary>The owner: the member of the first point strictly greater than the hash, wrapping.</summary>
    public TMember Find(uint hash) => _owners[(int)(_points[FirstPointAfter(hash)] & OwnerMask)];

    /// <summary>The member that would own the hash if its owner left; null on a ring of one.</summary>
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

    /// <summary>Each member's share of the hash space, in the order of <see cref="Members"/>; sums to 1.</summary>
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
        int[] indexAfter = IndexesOf(before, after);
        ulong moved = 0;
        ulong previous = 0;
        int b = 0;
        int a = 0;

        // One walk over both lists of points. Between two neighboring edges, each ring's owner is that of its next point.
        while (previous <= uint.MaxValue)
        {
            ulong edgeBefore = before._points[b] >> OwnerBits;
            ulong edgeAfter = after._points[a] >> OwnerBits;
            ulong edge = Math.Min(Math.Min(edgeBefore, edgeAfter), 1UL << 32);
            if (indexAfter[(int)(before._points[b] & OwnerMask)] != (int)(after._points[a] & OwnerMask)) moved += edge - previous;
            if (edgeBefore == edge) b++;
            if (edgeAfter == edge) a++;
            previous = edge;
        }

        return moved / 4294967296.0;
    }

    /// <summary>For each member of the first ring its index in the second, or -1.</summary>
    private static int[] IndexesOf(HashRing<TMember> before, HashRing<TMember> after)
    {
        var indexes = new Dictionary<string, int>(after._owners.Length, StringComparer.Ordinal);
        for (int i = 0; i < after._owners.Length; i++) indexes[after._owners[i].Name] = i;
        return Array.ConvertAll(before._owners, member => indexes.GetValueOrDefault(member.Name, -1));
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
        // The last entry is greater than every hash, so the walk needs no bounds check.
        int i = _index[hash >> _indexShift];
        while (_points[i] >> OwnerBits <= hash) i++;
        return i;
    }
}

/// <summary>A member of a ring. Unsealed: users of a ring derive from it.</summary>
internal class RingMember(string name)
{
    /// <summary>The points are hashed from it, and the members sorted by it.</summary>
    public string Name { get; } = name;
}

/// <summary>
/// Instances with the same fingerprint send every group to the same member. It is the first eight bytes, in lower-case hex, of the SHA-256 of
/// this UTF-8 text: the ordinally sorted names joined by commas, LF, the replicas in decimal, LF, the key mode (<c>group</c> or <c>path</c>).
/// A name whose weight is not 1 is followed by an equals sign and the weight in decimal.
/// </summary>
internal static class RingFingerprint
{
    private const int Bytes = 8;

    public static string Compute(ReadOnlySpan<RingMember> sorted, ReadOnlySpan<int> weights, int replicas, string keyMode)
    {
        var text = new StringBuilder();
        for (int i = 0; i < sorted.Length; i++)
        {
            text.Append(text.Length > 0 ? "," : "").Append(sorted[i].Name);
            if (weights[i] != 1) text.Append(CultureInfo.InvariantCulture, $"={weights[i]}");
        }

        text.Append(CultureInfo.InvariantCulture, $"\n{replicas}\n{keyMode}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, Bytes));
    }
}
