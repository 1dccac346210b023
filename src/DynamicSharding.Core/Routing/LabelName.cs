using System.Text;
using System.Text.Unicode;
using DynamicSharding.Http;

namespace DynamicSharding.Routing;

/// <summary>
/// How Pushgateway reads a label name. With its UTF-8 flag it accepts any UTF-8 and reads <c>U__f_2e_b</c> as <c>f.b</c>; without the flag it
/// accepts only the classic names, <c>U__f_2e_b</c> among them. The flag is unknown here, so a name is valid if either accepts it, and is always
/// unescaped: without the flag the two spellings are two groups, and it does no harm if they share a key.
/// </summary>
internal static class LabelName
{
    /// <summary>Enough for the highest code point. Pushgateway reads four or five, depending on its version, and takes more literally.</summary>
    private const int MaxHexDigits = 6;

    public static ReadOnlySpan<byte> Job => "job"u8;

    private static ReadOnlySpan<byte> EscapePrefix => "U__"u8;

    private static ReadOnlySpan<byte> ReservedPrefix => "__"u8;

    /// <summary>Valid, not escaped, and not <c>job</c>.</summary>
    public static bool IsOrdinary(ReadOnlySpan<byte> name) =>
        !name.StartsWith(ReservedPrefix) && !name.StartsWith(EscapePrefix) && !name.SequenceEqual(Job);

    /// <summary>False if every Pushgateway refuses the name, whatever its flags.</summary>
    public static bool IsValid(ReadOnlySpan<byte> name) => !name.IsEmpty && !name.StartsWith(ReservedPrefix) && Utf8.IsValid(name);

    /// <summary>Unescapes a name; a malformed escape makes it a literal name.</summary>
    /// <returns>The new length of the name.</returns>
    public static int UnescapeInPlace(Span<byte> name, Span<byte> scratch)
    {
        if (!name.StartsWith(EscapePrefix) || !TryUnescape(name[EscapePrefix.Length..], scratch, out int length)) return name.Length;
        scratch[..length].CopyTo(name);
        return length;
    }

    private static bool TryUnescape(ReadOnlySpan<byte> escaped, Span<byte> destination, out int length)
    {
        length = 0;
        for (int i = 0; i < escaped.Length; i++)
        {
            if (escaped[i] != '_')
            {
                destination[length++] = escaped[i];
                continue;
            }

            int end = escaped[(i + 1)..].IndexOf((byte)'_');
            if (end == 0)
            {
                destination[length++] = (byte)'_';
                i++;
                continue;
            }

            if (end < 0 || end > MaxHexDigits) return false;
            int codePoint = 0;
            foreach (byte digit in escaped.Slice(i + 1, end))
            {
                int value = Characters.HexValue(digit);
                if (value < 0) return false;
                codePoint = (codePoint << 4) | value;
            }

            if (!Rune.TryCreate(codePoint, out Rune rune)) return false;
            length += rune.EncodeToUtf8(destination[length..]);
            i += end + 1;
        }

        return true;
    }
}
