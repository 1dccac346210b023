using System.Buffers;

namespace DynamicSharding.Http;

/// <summary>The byte classes of RFC 9110 and 9112 that the parser searches for.</summary>
internal static class Characters
{
    /// <summary>tchar (RFC 9110 5.6.2): what a method and a field name are made of.</summary>
    public static readonly SearchValues<byte> Token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>
    /// What may not stand in a field value: every control but HTAB (RFC 9110 5.5). CR is among them, so one search finds both the end of
    /// a line and whatever should not be in it. Bytes from 0x80 on are obs-text and opaque.
    /// </summary>
    public static readonly SearchValues<byte> NotInValue = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Where(b => b != '\t').Select(b => (byte)b), 0x7f]);

    /// <summary>
    /// What ends or breaks a request-target: controls, SP and DEL; "#", which a client would cut off the Location as a fragment; "\", which
    /// many clients read as "/", so that dot segments behind it would leave the prefix. Bytes from 0x80 on are let through, because
    /// Pushgateway takes them; the Location carries them percent-encoded.
    /// </summary>
    public static readonly SearchValues<byte> NotInTarget = SearchValues.Create(
        [.. Enumerable.Range(0, 0x21).Select(b => (byte)b), (byte)'#', (byte)'\\', 0x7f]);
}
