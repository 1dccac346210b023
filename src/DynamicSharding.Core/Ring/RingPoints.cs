using System.Buffers.Text;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace DynamicSharding.Ring;

/// <summary>
/// Builds the sorted points of a ring. A point is the hash of its decimal number followed by the member's name, like in the original. Of
/// members whose points collide the last in order gets the point, like in the original's sorted rebuilds.
/// </summary>
internal static class RingPoints
{
    /// <summary>80 MB, twice while a ring is replaced. The configuration has the same limit; here it also covers discovered members.</summary>
    public const int MaxPoints = 10_000_000;

    /// <summary>The low bits of an entry hold the owner's index; the point above them has 33 bits, one for the next turn.</summary>
    public const int OwnerBits = 24;

    private const int MaxDigits = 10;

    /// <summary>Three passes of 11 bits cover the 32 bits of a point, and 2,048 counters fit into the L1 cache.</summary>
    private const int DigitBits = 11;

    /// <param name="members">How many.</param>
    /// <param name="weight">The sum of their weights.</param>
    /// <param name="replicas">Points per unit of weight.</param>
    /// <returns>What is wrong with a ring of this size, or null.</returns>
    public static string? CheckCount(int members, long weight, int replicas) => weight * replicas <= MaxPoints
        ? null
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{members} gateways {(weight == members ? "" : $"of weight {weight} together ")}with {replicas} points each: a ring has at most {MaxPoints} points");

    /// <param name="members">In their order on the ring.</param>
    /// <param name="weights">Of the members, at least 1: a member has so many times the replicas. The points of weight 1 are among those of any other.</param>
    /// <returns>The distinct points ascending, then the first one again, one turn later.</returns>
    public static unsafe ulong[] Build(ReadOnlySpan<RingMember> members, ReadOnlySpan<int> weights, int replicas)
    {
        long weight = 0;
        foreach (int each in weights) weight += each;
        if (CheckCount(members.Length, weight, replicas) is { } problem) throw new InvalidOperationException(problem);
        int count = (int)(weight * replicas);

        // Not on the heap, where two arrays of the ring's size would stay for long after each change.
        var memory = (ulong*)NativeMemory.Alloc(2 * (nuint)count, sizeof(ulong));
        try
        {
            var points = new Span<ulong>(memory, count);
            HashAll(members, weights, points, replicas);
            return DropCollisions(SortByPoint(points, new Span<ulong>(memory + count, count)));
        }
        finally
        {
            NativeMemory.Free(memory);
        }
    }

    private static void HashAll(ReadOnlySpan<RingMember> members, ReadOnlySpan<int> weights, Span<ulong> points, int replicas)
    {
        Span<byte> digits = stackalloc byte[MaxDigits];
        int count = 0;
        for (int owner = 0; owner < members.Length; owner++)
        {
            // The name stays in place; each number is written right before it.
            byte[] text = new byte[MaxDigits + Encoding.UTF8.GetByteCount(members[owner].Name)];
            Encoding.UTF8.GetBytes(members[owner].Name, text.AsSpan(MaxDigits));
            for (int i = 0; i < weights[owner] * replicas; i++)
            {
                Utf8Formatter.TryFormat(i, digits, out int length);
                int start = MaxDigits - length;
                digits[..length].CopyTo(text.AsSpan(start));
                points[count++] = ((ulong)MurmurHash3.Hash32(text.AsSpan(start)) << OwnerBits) | (uint)owner;
            }
        }
    }

    /// <summary>A stable radix sort: equal points stay in the order of their owners.</summary>
    /// <param name="target">As long as the points.</param>
    /// <returns>One of the two.</returns>
    private static Span<ulong> SortByPoint(Span<ulong> points, Span<ulong> target)
    {
        Span<int> offsets = stackalloc int[1 << DigitBits];
        for (int shift = OwnerBits; shift < OwnerBits + 32; shift += DigitBits)
        {
            offsets.Clear();
            foreach (ulong point in points) offsets[Digit(point, shift)]++;
            int sum = 0;
            foreach (ref int offset in offsets) (offset, sum) = (sum, sum + offset);
            foreach (ulong point in points) target[offsets[Digit(point, shift)]++] = point;
            Span<ulong> sorted = target;
            target = points;
            points = sorted;
        }

        return points;
    }

    private static int Digit(ulong point, int shift) => (int)(point >> shift) & ((1 << DigitBits) - 1);

    private static ulong[] DropCollisions(Span<ulong> sorted)
    {
        int count = 0;
        for (int i = 0; i < sorted.Length; i++)
        {
            bool lastOfItsPoint = i == sorted.Length - 1 || sorted[i] >> OwnerBits != sorted[i + 1] >> OwnerBits;
            if (lastOfItsPoint) sorted[count++] = sorted[i];
        }

        var points = new ulong[count + 1];
        sorted[..count].CopyTo(points);
        points[count] = points[0] + (1UL << (32 + OwnerBits));
        return points;
    }
}
