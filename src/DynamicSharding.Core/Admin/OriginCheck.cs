using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>
/// Keeps a page that an operator happens to have open from posting here: browsers name the page's origin on every POST (Fetch, 3.1), and
/// it must be this listener's own. Programs that send no Origin are no browsers and pass.
/// </summary>
internal static class OriginCheck
{
    public static bool Allows(HttpRequest request)
    {
        // Browsers say how the page relates to this listener (Fetch Metadata); only the listener's own page, or nobody's, may post.
        if (request.Headers["Sec-Fetch-Site"] is [var site] && site is not ("same-origin" or "none")) return false;
        StringValues origin = request.Headers.Origin;
        if (origin.Count == 0) return true;
        return origin.Count == 1
            && string.Equals(origin[0], $"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase);
    }
}
