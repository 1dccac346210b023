using System.Buffers;

namespace DynamicSharding.Config.Values;

/// <summary>Paths for a Location or a request line: RFC 3986 3.3, without empty or dot segments.</summary>
internal static class UrlPathText
{
    /// <summary>Every response buffer has room for it, see <see cref="LocationText"/>. Real paths are a tenth as long.</summary>
    public const int MaxLength = 1024;

    private static readonly SearchValues<char> PathCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%");

    /// <summary>Without a trailing slash; empty for <c>/</c>.</summary>
    public static string? ParsePrefix(string text, out string value)
    {
        value = text.TrimEnd('/');
        return value.Length == 0 ? null : Check(value, allowQuery: false);
    }

    public static string? Check(string text, bool allowQuery)
    {
        if (!text.StartsWith('/')) return "must begin with '/'";
        if (text.Length > MaxLength) return $"must not be longer than {MaxLength} characters";
        int query = allowQuery ? text.IndexOf('?') : -1;
        ReadOnlySpan<char> path = query < 0 ? text : text.AsSpan(0, query);
        ReadOnlySpan<char> after = query < 0 ? [] : text.AsSpan(query + 1);
        if (path.ContainsAnyExcept(PathCharacters) || after.IndexOf('?') >= 0 || after.ContainsAnyExcept(PathCharacters))
        {
            return "contains a character that must be percent-encoded in a URL";
        }

        for (int i = text.IndexOf('%'); i >= 0; i = text.IndexOf('%', i + 1))
        {
            if (i + 2 >= text.Length || !char.IsAsciiHexDigit(text[i + 1]) || !char.IsAsciiHexDigit(text[i + 2]))
            {
                return "contains a '%' that is not followed by two hex digits";
            }
        }

        if (path.Length == 1) return null;
        foreach (Range range in path[1..].Split('/'))
        {
            if (path[1..][range] is "" or "." or "..") return "must not have empty, '.' or '..' segments";
        }

        return null;
    }
}
