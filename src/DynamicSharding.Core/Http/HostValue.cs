namespace DynamicSharding.Http;

/// <summary><c>uri-host [ ":" port ]</c> (RFC 9112 3.2, RFC 3986 3.2.2): Host, and the authority of a target in absolute-form.</summary>
internal static class HostValue
{
    /// <summary>Unreserved characters, sub-delims and "%": a reg-name or an IPv4 address.</summary>
    private static readonly bool[] Name =
        Characters.Table("!$%&'()*+,-.0123456789;=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"u8);

    /// <summary>An IPv6 address with or without a zone, or IPvFuture. Not parsed further, because nothing uses it.</summary>
    private static readonly bool[] Literal =
        Characters.Table("%-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"u8);

    /// <summary>An empty value is valid: a client sends it when its target has no authority.</summary>
    public static bool IsValid(ReadOnlySpan<byte> value)
    {
        int end;
        if (!value.IsEmpty && value[0] == '[')
        {
            end = Characters.IndexOfAnyExcept(value[1..], Literal) + 1;
            if (end < 2 || value[end] != ']') return false;
            end++;
        }
        else
        {
            end = Characters.IndexOfAnyExcept(value, Name);
            if (end < 0) return true;
        }

        return end == value.Length || (value[end] == ':' && !value[(end + 1)..].ContainsAnyExceptInRange((byte)'0', (byte)'9'));
    }
}
