using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>
/// Keeps a page that an operator happens to have open from posting here. Browsers say how the page relates to where it posts (Fetch
/// Metadata), and no script can say it for them. They see both from outside, which this listener cannot behind a proxy that ends TLS or
/// changes the Host. Those that do not say it (old ones, and all over plain HTTP but for loopback) name the page's origin on every POST
/// (Fetch, 3.1), and it must be this listener's own. Programs that send neither are no browsers and pass.
/// </summary>
internal static class OriginCheck
{
    public static bool Allows(HttpRequest request)
    {
        StringValues site = request.Headers["Sec-Fetch-Site"];
        if (site is ["same-origin"]) return true;
        if (site.Count > 0 && site is not ["none"]) return false;
        StringValues origin = request.Headers.Origin;
        if (origin.Count == 0) return true;
        return origin.Count == 1
            && string.Equals(origin[0], $"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase);
    }
}
