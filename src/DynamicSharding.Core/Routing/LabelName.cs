using System.Text;
using System.Text.Unicode;

namespace DynamicSharding.Routing;

/// <summary>
/// What Pushgateway makes of a label name. With its UTF-8 flag it takes any UTF-8 and reads <c>U__f_2e_b</c> as <c>f.b</c>; without it, it
/// takes the old names only, <c>U__f_2e_b</c> among them. Which flag runs is unknown here, so a name is good if either takes it, and is
/// always unescaped: without the flag the unescaped twin is another group at most, and sharing a key with it does no harm.
/// </summary>
internal static class LabelName
{
    /// <summary>Those of the highest code point. Pushgateways read four or five, by version; with more the name is literal there.</summary>
    private const int MaxHexDigits = 6;

    public static ReadOnlySpan<byte> Job => "job"u8;

    private static ReadOnlySpan<byte> EscapePrefix => "U__"u8;

    private static ReadOnlySpan<byte> ReservedPrefix => "__"u8;

    /// <summary>Good, not escaped, and not the job's.</summary>
    public static bool IsOrdinary(ReadOnlySpan<byte> name) =>
        !name.StartsWith(ReservedPrefix) && !name.StartsWith(EscapePrefix) && !name.SequenceEqual(Job);

    /// <summary>False when every Pushgateway refuses the name, whatever its flags.</summary>
    public static bool IsGood(ReadOnlySpan<byte> name) => !name.IsEmpty && !name.StartsWith(ReservedPrefix) && Utf8.IsValid(name);

    /// <summary>Replaces an escaped name by what it stands for; one that is escaped badly is a literal name.</summary>
    /// <returns>The length of the name now.</returns>
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

            if (end < 0 || end > MaxHexDigits || !TryParseHex(escaped.Slice(i + 1, end), out int codePoint)) return false;
            if (!Rune.TryCreate(codePoint, out Rune rune)) return false;
            length += rune.EncodeToUtf8(destination[length..]);
            i += end + 1;
        }

        return true;
    }

    private static bool TryParseHex(ReadOnlySpan<byte> digits, out int value)
    {
        value = 0;
        foreach (byte digit in digits)
        {
            if (!char.IsAsciiHexDigit((char)digit)) return false;
            value = (value << 4) | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }

        return true;
    }
}
