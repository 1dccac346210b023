using System.Net;
using DynamicSharding.Config;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>
/// Keeps a page that an operator happens to have open from posting here. Browsers send the relation between that page and the target of its
/// request (Fetch Metadata), which scripts cannot forge and which holds behind a proxy that ends TLS or changes the Host. Browsers that do not,
/// because they are old or speak plain HTTP, send the page's origin with every POST (Fetch, 3.1); it must be this listener's own. Programs
/// that send neither are not browsers and pass.
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

/// <summary>A request from this machine. Behind a proxy every request comes from the proxy's address, but proxies say for whom they ask.</summary>
internal static class LocalCheck
{
    public static bool Allows(HttpRequest request)
    {
        if (request.Headers.ContainsKey("Forwarded") || request.Headers.ContainsKey("X-Forwarded-For")) return false;
        return request.HttpContext.Connection.RemoteIpAddress is { } peer && IPAddress.IsLoopback(peer);
    }
}

/// <summary>What only requests under a name of this server may have: see <see cref="AllowedHosts"/>.</summary>
internal static class HostCheck
{
    /// <summary>Scrapes, health checks and discovery go by whatever name others gave this server, and tell nothing that a page could use.</summary>
    private static bool IsGuarded(string? path) =>
        path is "/" or "/-/reload" || (path is not "/api/v1/sd" && path?.StartsWith("/api/", StringComparison.Ordinal) == true);

    public static bool Allows(HttpRequest request, AllowedHosts hosts) => !IsGuarded(request.Path.Value) || hosts.Allows(request.Host.Host);
}
