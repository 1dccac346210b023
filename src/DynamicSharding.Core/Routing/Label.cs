using System.Buffers.Binary;

namespace DynamicSharding.Routing;

/// <summary>Where a label lies in the decoded path.</summary>
/// <param name="Prefix">The first bytes of the name as a number that sorts as they do: decides nearly every comparison without the text.</param>
internal readonly record struct Label(ulong Prefix, int NameStart, int NameLength, int ValueStart, int ValueLength)
{
    public static ulong PrefixOf(ReadOnlySpan<byte> name)
    {
        if (name.Length >= sizeof(ulong)) return BinaryPrimitives.ReadUInt64BigEndian(name);
        ulong prefix = 0;
        foreach (byte b in name) prefix = (prefix << 8) | b;
        return prefix << (8 * (sizeof(ulong) - name.Length));
    }
}
