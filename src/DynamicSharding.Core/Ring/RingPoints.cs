using System.Buffers.Text;
using System.Text;

namespace DynamicSharding.Ring;

/// <summary>
/// Makes a ring's sorted points. A point is the hash of its number in decimal followed by the gateway's address, as in the original; where
/// two points collide the gateway that sorts later keeps it, which is what the original's sorted rebuilds do.
/// </summary>
internal static class RingPoints
{
    /// <summary>The low bits of an entry hold the owner's number; the point itself lies above them and has 33 bits, one for the next turn.</summary>
    public const int OwnerBits = 24;

    private const int MaxDigits = 10;

    /// <summary>Three passes of eleven bits cover the 32 bits of a point, and 2,048 counters stay in the first-level cache.</summary>
    private const int DigitBits = 11;

    /// <returns>The distinct points ascending, then the first one again, one turn later.</returns>
    public static ulong[] Build(ReadOnlySpan<RingMember> gateways, int replicas)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(gateways.Length, 1 << OwnerBits);
        ulong[] points = HashAll(gateways, replicas);
        SortByPoint(ref points);
        return DropCollisions(points);
    }

    private static ulong[] HashAll(ReadOnlySpan<RingMember> gateways, int replicas)
    {
        var points = new ulong[checked(gateways.Length * replicas)];
        Span<byte> digits = stackalloc byte[MaxDigits];
        int count = 0;
        for (int owner = 0; owner < gateways.Length; owner++)
        {
            // The address stays where it is; each number is written right before it.
            byte[] text = new byte[MaxDigits + Encoding.UTF8.GetByteCount(gateways[owner].Name)];
            Encoding.UTF8.GetBytes(gateways[owner].Name, text.AsSpan(MaxDigits));
            for (int i = 0; i < replicas; i++)
            {
                Utf8Formatter.TryFormat(i, digits, out int length);
                int start = MaxDigits - length;
                digits[..length].CopyTo(text.AsSpan(start));
                points[count++] = ((ulong)MurmurHash3.Hash32(text.AsSpan(start)) << OwnerBits) | (uint)owner;
            }
        }

        return points;
    }

    /// <summary>A stable radix sort: equal points stay in the order of their owners.</summary>
    private static void SortByPoint(ref ulong[] points)
    {
        var target = new ulong[points.Length];
        Span<int> offsets = stackalloc int[1 << DigitBits];
        for (int shift = OwnerBits; shift < OwnerBits + 32; shift += DigitBits)
        {
            offsets.Clear();
            foreach (ulong point in points) offsets[Digit(point, shift)]++;
            int sum = 0;
            foreach (ref int offset in offsets) (offset, sum) = (sum, sum + offset);
            foreach (ulong point in points) target[offsets[Digit(point, shift)]++] = point;
            (points, target) = (target, points);
        }
    }

    private static int Digit(ulong point, int shift) => (int)(point >> shift) & ((1 << DigitBits) - 1);

    private static ulong[] DropCollisions(ulong[] sorted)
    {
        int count = 0;
        for (int i = 0; i < sorted.Length; i++)
        {
            bool lastOfItsPoint = i == sorted.Length - 1 || sorted[i] >> OwnerBits != sorted[i + 1] >> OwnerBits;
            if (lastOfItsPoint) sorted[count++] = sorted[i];
        }

        var points = new ulong[count + 1];
        sorted.AsSpan(0, count).CopyTo(points);
        points[count] = points[0] + (1UL << (32 + OwnerBits));
        return points;
    }
}
