using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Routing;

/// <summary>The four forms of a request-target (RFC 9112 3.2), reduced to a path and a query.</summary>
internal static class RequestTarget
{
    /// <param name="path">From its slash on; empty for asterisk-form.</param>
    /// <param name="query">Empty, or from its question mark on.</param>
    /// <returns>False if the target has none of these forms: 400.</returns>
    public static bool TrySplit(ReadOnlySpan<byte> target, RequestMethod method, out ReadOnlySpan<byte> path, out ReadOnlySpan<byte> query)
    {
        query = default;
        path = target;
        if (target[0] != '/' && !TryCutAuthority(target, method, out path)) return false;

        int mark = path.IndexOf((byte)'?');
        if (mark >= 0)
        {
            query = path[mark..];
            path = path[..mark];
        }

        return true;
    }

    /// <summary>Byte for byte, and whole segments only: of <c>/a</c>, what follows in <c>/a/b</c>, and nothing in <c>/ab</c>, <c>/a</c> or <c>/%61/b</c>.</summary>
    /// <param name="prefix"><c>/prefix</c>.</param>
    public static bool TryRemovePrefix(ReadOnlySpan<byte> prefix, ref ReadOnlySpan<byte> path)
    {
        if (!path.StartsWith(prefix) || path.Length == prefix.Length || path[prefix.Length] != '/') return false;
        path = path[prefix.Length..];
        return true;
    }

    /// <summary>
    /// A server must accept absolute-form (RFC 9112 3.2.2), and only its path matters here; userinfo or an empty host is an error (RFC 9110 4.2).
    /// "*" is for OPTIONS, authority-form for CONNECT: neither has a path.
    /// </summary>
    private static bool TryCutAuthority(ReadOnlySpan<byte> target, RequestMethod method, out ReadOnlySpan<byte> path)
    {
        path = default;
        if (method == RequestMethod.Connect) return true;
        if (target.Length == 1 && target[0] == '*') return method == RequestMethod.Options;

        int scheme = StartsWithIgnoreCase(target, "http://"u8) ? 7 : StartsWithIgnoreCase(target, "https://"u8) ? 8 : 0;
        if (scheme == 0) return false;
        ReadOnlySpan<byte> rest = target[scheme..];
        int end = rest.IndexOfAny((byte)'/', (byte)'?');
        ReadOnlySpan<byte> authority = end < 0 ? rest : rest[..end];
        if (authority.IsEmpty || authority[0] == ':' || !HostValue.IsValid(authority)) return false;

        path = end < 0 ? default : rest[end..];
        return true;
    }

    private static bool StartsWithIgnoreCase(ReadOnlySpan<byte> text, ReadOnlySpan<byte> start) =>
        text.Length >= start.Length && Ascii.EqualsIgnoreCase(text[..start.Length], start);
}

/// <summary>A path or URL that an operator typed or a file lists, parsed by the rules of a request-target.</summary>
internal static class TargetPath
{
    /// <param name="prefix">Removed from the path if it has it: <c>/prefix</c>, or empty.</param>
    /// <param name="path">The raw path, not decoded, without scheme, authority and query.</param>
    /// <returns>None, or why a data listener would respond with 400.</returns>
    public static RejectReason Parse(string pathOrUrl, string prefix, out byte[] path)
    {
        path = [];
        byte[] target = Encoding.UTF8.GetBytes(pathOrUrl);
        if (target.Length == 0
            || target.AsSpan().ContainsAny(Characters.NotInTarget)
            || !RequestTarget.TrySplit(target, RequestMethod.Get, out ReadOnlySpan<byte> raw, out _))
        {
            return RejectReason.BadTarget;
        }

        if (prefix.Length > 0) _ = RequestTarget.TryRemovePrefix(Encoding.ASCII.GetBytes(prefix), ref raw);
        path = raw.IsEmpty ? "/"u8.ToArray() : raw.ToArray();
        return RejectReason.None;
    }
}
