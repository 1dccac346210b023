namespace DynamicSharding.Routing;

/// <summary>What an operator types or a file holds, a path or a whole URL, as the raw path that a request would bring.</summary>
internal static class TargetPath
{
    /// <summary>Drops scheme, authority, query and fragment. Nothing is decoded or escaped, unlike with <see cref="Uri"/>.</summary>
    public static string Of(string pathOrUrl)
    {
        int start = 0;
        int scheme = pathOrUrl.IndexOf("://", StringComparison.Ordinal);
        if (scheme > 0 && !pathOrUrl.AsSpan(0, scheme).Contains('/'))
        {
            start = pathOrUrl.IndexOf('/', scheme + "://".Length);
            if (start < 0) return "/";
        }

        int end = pathOrUrl.AsSpan(start).IndexOfAny('?', '#');
        string path = end < 0 ? pathOrUrl[start..] : pathOrUrl.Substring(start, end);
        return path.StartsWith('/') ? path : "/" + path;
    }
}
