using System.Buffers;

namespace DynamicSharding.Config.Values;

/// <summary>Paths that are put into a Location or a request line: RFC 3986 3.3, no empty and no dot segments.</summary>
internal static class UrlPathText
{
    /// <summary>In every Location and every response's buffer, see <see cref="LocationText"/>; nobody's path is a tenth of it.</summary>
    public const int MaxLength = 1024;

    private static readonly SearchValues<char> PathCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%");

    /// <summary><c>/prefix</c> without a trailing slash; <c>/</c> and nothing are no prefix.</summary>
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
