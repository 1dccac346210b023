using System.Buffers;

namespace DynamicSharding.Http;

/// <summary>
/// The byte classes of RFC 9110 and 9112 that the parser searches for. Written so that a search is comparisons of vectors and no table
/// lookup in them: NativeAOT for the x86-64 baseline calls a function for each of those.
/// </summary>
internal static class Characters
{
    /// <summary>tchar (RFC 9110 5.6.2): what a method and a field name are made of.</summary>
    private static readonly bool[] Token = Table("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>All controls but HTAB; see <see cref="IndexOfLineEnd"/>.</summary>
    private static readonly SearchValues<byte> NotInValue = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Where(b => b != '\t').Select(b => (byte)b), 0x7f]);

    /// <summary>
    /// What ends or breaks a request-target: controls, SP and DEL; "#", which a client would cut off the Location as a fragment; "\\", which
    /// many clients read as "/", so that dot segments behind it would leave the prefix. Bytes from 0x80 on are let through, because
    /// Pushgateway takes them; the Location carries them percent-encoded.
    /// </summary>
    public static readonly SearchValues<byte> NotInTarget = SearchValues.Create(
        [.. Enumerable.Range(0, 0x21).Select(b => (byte)b), (byte)'#', (byte)'\\', 0x7f]);

    /// <summary>The same within a line that <see cref="IndexOfLineEnd"/> has bounded: of the controls only HTAB can be in there.</summary>
    public static readonly SearchValues<byte> NotInTargetOfLine = SearchValues.Create(" \t#\\"u8);

    public static bool IsToken(byte value) => Token[value];

    /// <summary>The first byte that no token has; -1 without one.</summary>
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
    /// The first byte that may not stand in a field value: any control but HTAB (RFC 9110 5.5); -1 without one. CR is among them, so one
    /// search finds both the end of a line and whatever should not be in it. Bytes from 0x80 on are obs-text and opaque.
    /// </summary>
    public static int IndexOfLineEnd(ReadOnlySpan<byte> text)
    {
        int end = text.IndexOfAnyExceptInRange((byte)' ', (byte)'~');
        if (end < 0 || text[end] is not ((byte)'\t' or >= 0x80)) return end;

        // Rare, and left to the search that steps over all of them at once, so that a line full of them costs no more than another.
        int rest = text[end..].IndexOfAny(NotInValue);
        return rest < 0 ? -1 : end + rest;
    }

    /// <summary>True at each of the bytes: for short texts, where a table is quicker than a vector.</summary>
    public static bool[] Table(ReadOnlySpan<byte> members)
    {
        var table = new bool[256];
        foreach (byte member in members) table[member] = true;
        return table;
    }
}
