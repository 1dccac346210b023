using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Forward;

/// <summary>The redirect listener's router on the same ring, for pool threads: a router that is in use is nobody else's.</summary>
internal sealed class ForwardRouter(ActiveRing ring, Readiness readiness, ShardingKey mode, LimitOptions limits)
{
    private readonly ConcurrentBag<Router> _idle = [];

    /// <param name="method">As received; methods are case-sensitive.</param>
    /// <param name="target">As received, a character for each byte.</param>
    public ForwardRoute Route(string method, string target)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Math.Max(target.Length, 1));
        if (!_idle.TryTake(out Router? router)) router = new Router(ring, new GroupingKey(mode, limits.RequestLine), readiness);
        try
        {
            return Route(router, MethodOf(method), bytes.AsSpan(0, Encoding.Latin1.GetBytes(target, bytes)));
        }
        finally
        {
            // Routing does not wait, so there are never more of them than threads.
            _idle.Add(router);
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static ForwardRoute Route(Router router, RequestMethod method, ReadOnlySpan<byte> target)
    {
        // What the redirect listener's parser asks before it routes.
        if (target.IsEmpty || target.ContainsAny(Characters.NotInTarget)) return ForwardRoute.Reject(RejectReason.BadTarget);

        router.Respond(method, target, out Route route);
        return route.Owner is { } owner
            ? new ForwardRoute(route.Kind, route.Reason, owner.Address, Concat(owner.LocationPrefix, route.Path, route.Query))
            : new ForwardRoute(route.Kind, route.Reason, "", Encoding.UTF8.GetString(route.Text));
    }

    private static string Concat(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query) =>
        Encoding.Latin1.GetString(prefix) + Encoding.Latin1.GetString(path) + Encoding.Latin1.GetString(query);

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
