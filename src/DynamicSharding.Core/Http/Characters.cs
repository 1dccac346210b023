using System.Buffers;
using System.Globalization;

namespace DynamicSharding.Http;

/// <summary>
/// The byte classes of RFC 9110 and 9112 that the parser searches for. The searches compile to vector comparisons, not to vector table
/// lookups: for the x86-64 baseline, NativeAOT calls a function for each of those.
/// </summary>
internal static class Characters
{
    /// <summary>tchar (RFC 9110 5.6.2): methods and field names.</summary>
    private static readonly bool[] Token = Table("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>All controls except HTAB.</summary>
    private static readonly SearchValues<byte> NotInValue = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Where(b => b != '\t').Select(b => (byte)b), 0x7f]);

    /// <summary>
    /// What ends or breaks a request-target: controls, SP and DEL; "#", because a client would drop a Location's fragment; "\\", because many
    /// clients read it as "/", so that a dot segment behind it would leave the prefix. Bytes from 0x80 on are allowed, because Pushgateway
    /// accepts them; the Location carries them percent-encoded.
    /// </summary>
    public static readonly SearchValues<byte> NotInTarget = SearchValues.Create(
        [.. Enumerable.Range(0, 0x21).Select(b => (byte)b), (byte)'#', (byte)'\\', 0x7f]);

    /// <summary>The same for a line that ends at <see cref="IndexOfLineEnd"/>: HTAB is the only control it can contain.</summary>
    public static readonly SearchValues<byte> NotInTargetOfLine = SearchValues.Create(" \t#\\"u8);

    public static bool IsToken(byte value) => Token[value];

    /// <summary>The first byte that is not part of a token, or -1.</summary>
    public static int IndexOfTokenEnd(ReadOnlySpan<byte> text) => IndexOfAnyExcept(text, Token);

    /// <param name="members">From <see cref="Table"/>.</param>
    public static int IndexOfAnyExcept(ReadOnlySpan<byte> text, bool[] members)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (!members[text[i]]) return i;
        }

        return -1;
    }

    /// <summary>
    /// The first control other than HTAB (RFC 9110 5.5), or -1. One search thus finds the end of a line and any byte that must not be in it.
    /// Bytes from 0x80 on are obs-text and opaque.
    /// </summary>
    public static int IndexOfLineEnd(ReadOnlySpan<byte> text)
    {
        int end = text.IndexOfAnyExceptInRange((byte)' ', (byte)'~');
        if (end < 0 || text[end] is not ((byte)'\t' or >= 0x80)) return end;

        // Rare. This search skips all of these bytes at once, so a line full of them costs no more than any other.
        int rest = text[end..].IndexOfAny(NotInValue);
        return rest < 0 ? -1 : end + rest;
    }

    /// <summary>The value of a hex digit, or -1.</summary>
    public static int HexValue(byte digit) => digit switch
    {
        >= (byte)'0' and <= (byte)'9' => digit - '0',
        >= (byte)'A' and <= (byte)'F' => digit - 'A' + 10,
        >= (byte)'a' and <= (byte)'f' => digit - 'a' + 10,
        _ => -1,
    };

    /// <summary>For texts that people read.</summary>
    public static string PercentEncoded(char value) => string.Create(CultureInfo.InvariantCulture, $"%{(int)value:X2}");

    /// <summary>
    /// Writes a byte of a path or query as a Location carries it: ASCII as it is, from 0x80 on percent-encoded (RFC 3986 2.1).
    /// </summary>
    /// <returns>How many bytes were written: 1 or 3.</returns>
    public static int WriteEncoded(byte value, Span<byte> destination)
    {
        if (value < 0x80)
        {
            destination[0] = value;
            return 1;
        }

        ReadOnlySpan<byte> digits = "0123456789ABCDEF"u8;
        destination[2] = digits[value & 0xF];
        destination[1] = digits[value >> 4];
        destination[0] = (byte)'%';
        return 3;
    }

    /// <summary>A lookup table, which is faster than a vector search in short texts.</summary>
    public static bool[] Table(ReadOnlySpan<byte> members)
    {
        var table = new bool[256];
        foreach (byte member in members) table[member] = true;
        return table;
    }
}
