using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Forward;

/// <summary>The redirect listener's router on the same ring, for pool threads: a router that is in use is nobody else's.</summary>
internal sealed class ForwardRouter(ActiveRing ring, Readiness readiness, ShardingKey mode, LimitOptions limits)
{
    private readonly ConcurrentBag<Router> _idle = [];

    /// <param name="method">As received; methods are case-sensitive.</param>
    /// <param name="target">As received, and let through by the parser of the redirect listener.</param>
    public ForwardRoute Route(string method, ReadOnlySpan<byte> target)
    {
        if (!_idle.TryTake(out Router? router)) router = new Router(ring, new GroupingKey(mode, limits.RequestLine), readiness);
        try
        {
            router.Resolve(MethodOf(method), target, out Route route);
            return route.Owner is { } owner
                ? new ForwardRoute(route.Kind, route.Reason, owner.Address, Concat(owner.LocationPrefix, route.Path, route.Query))
                : new ForwardRoute(route.Kind, route.Reason, "", Encoding.UTF8.GetString(route.Text));
        }
        finally
        {
            // Routing does not wait, so there are never more of them than threads.
            _idle.Add(router);
        }
    }

    private static string Concat(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query) =>
        Encoding.Latin1.GetString(prefix) + Encoding.Latin1.GetString(path) + Encoded(query);

    /// <summary>Bytes from 0x80 on as the redirect's Location has them; those of the path are encoded already.</summary>
    private static string Encoded(ReadOnlySpan<byte> query)
    {
        if (Ascii.IsValid(query)) return Encoding.ASCII.GetString(query);
        var text = new StringBuilder(query.Length * 3);
        foreach (byte b in query)
        {
            if (b < 0x80) text.Append((char)b);
            else text.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
        }

        return text.ToString();
    }

    private static RequestMethod MethodOf(string method) => method switch
    {
        "GET" => RequestMethod.Get,
        "HEAD" => RequestMethod.Head,
        "PUT" => RequestMethod.Put,
        "POST" => RequestMethod.Post,
        "DELETE" => RequestMethod.Delete,
        "OPTIONS" => RequestMethod.Options,
        "TRACE" => RequestMethod.Trace,
        "CONNECT" => RequestMethod.Connect,
        "PATCH" => RequestMethod.Patch,
        _ => RequestMethod.Unknown,
    };
}

/// <summary>A <see cref="Route"/> that may be kept over an await.</summary>
/// <param name="Reason">With <see cref="RouteKind.Reject"/>.</param>
/// <param name="Gateway">The owner's address, with <see cref="RouteKind.Redirect"/>.</param>
/// <param name="Text">
/// The owner's URL for the target, with <see cref="RouteKind.Redirect"/> and <see cref="RouteKind.NextUrl"/>; else the route's own text.
/// </param>
internal readonly record struct ForwardRoute(RouteKind Kind, RejectReason Reason, string Gateway, string Text)
{
    public static ForwardRoute Reject(RejectReason reason) => new(RouteKind.Reject, reason, "", "");
}
