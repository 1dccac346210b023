using DynamicSharding.Http;

namespace DynamicSharding.Routing;

/// <summary>
/// Decides what a request is and which gateway owns its group. One object per event loop, because <see cref="GroupingKey"/> has scratch memory;
/// all read the same ring.
/// </summary>
/// <param name="prefix">Of the paths of pushes, <c>/prefix</c> in ASCII; empty without.</param>
internal sealed class Router(ActiveRing ring, GroupingKey key, Readiness readiness, byte[] prefix)
{
    private static ReadOnlySpan<byte> Healthy => "/-/healthy"u8;

    private static ReadOnlySpan<byte> Ready => "/-/ready"u8;

    /// <param name="target">Not empty.</param>
    public void Resolve(RequestMethod method, ReadOnlySpan<byte> target, out Route route)
    {
        route = default;
        if (method == RequestMethod.Unknown)
        {
            route.Reason = RejectReason.UnknownMethod;
            return;
        }

        if (!RequestTarget.TrySplit(target, method, out ReadOnlySpan<byte> path, out ReadOnlySpan<byte> query))
        {
            route.Reason = RejectReason.BadTarget;
            return;
        }

        if (prefix.Length > 0 && !IsHealthCheck(path) && !RequestTarget.TryRemovePrefix(prefix, ref path))
        {
            ResolveNothing(method, path, ref route);
            return;
        }

        GroupResult result = path.IsEmpty ? GroupResult.NotAGroup : key.Compute(path, out route.Path);
        if (result == GroupResult.Group) ResolveGroup(method, query, ref route);
        else if (result == GroupResult.Rejected) route.Reason = key.Reason;
        else ResolveOther(method, path, ref route);
    }

    private void ResolveGroup(RequestMethod method, ReadOnlySpan<byte> query, ref Route route)
    {
        switch (method)
        {
            case RequestMethod.Put or RequestMethod.Post or RequestMethod.Delete:
                route.Kind = RouteKind.Redirect;
                route.Query = query;
                break;
            case RequestMethod.Get or RequestMethod.Head:
                route.Kind = RouteKind.NextUrl;
                break;
            default:
                route.Reason = RejectReason.MethodNotAllowed;
                route.Text = "GET, HEAD, PUT, POST, DELETE"u8;
                return;
        }

        route.Owner = ring.Current?.Find(key.Hash);
        if (route.Owner is not null) return;
        route.Kind = RouteKind.Reject;
        route.Reason = RejectReason.NoGateway;
    }

    private void ResolveOther(RequestMethod method, ReadOnlySpan<byte> path, ref Route route)
    {
        RouteKind kind = path switch
        {
            _ when path.SequenceEqual(Healthy) => RouteKind.Healthy,
            _ when path.SequenceEqual(Ready) => RouteKind.Ready,
            _ when path.SequenceEqual("/test/v1"u8) => RouteKind.Liveness,
            _ => RouteKind.Reject,
        };

        if (kind == RouteKind.Reject)
        {
            ResolveNothing(method, path, ref route);
        }
        else if (method is not (RequestMethod.Get or RequestMethod.Head))
        {
            route.Reason = RejectReason.MethodNotAllowed;
            route.Text = "GET, HEAD"u8;
        }
        else
        {
            route.Kind = kind;
            if (kind != RouteKind.Ready || readiness.IsReady) return;
            route.Kind = RouteKind.NotReady;
            route.Text = readiness.Obstacle;
        }
    }

    /// <summary>CONNECT and "OPTIONS *" address the server as a whole; any other path is unknown.</summary>
    private static void ResolveNothing(RequestMethod method, ReadOnlySpan<byte> path, ref Route route)
    {
        route.Reason = path.IsEmpty && method is RequestMethod.Connect or RequestMethod.Options
            ? RejectReason.MethodNotAllowed
            : RejectReason.NotFound;
        if (route.Reason == RejectReason.MethodNotAllowed) route.Text = "GET, HEAD, PUT, POST, DELETE"u8;
    }

    /// <summary>Load balancers know no prefix.</summary>
    private static bool IsHealthCheck(ReadOnlySpan<byte> path) => path.SequenceEqual(Healthy) || path.SequenceEqual(Ready);
}

/// <summary>How to respond to one request. The spans point into the request or into scratch memory that the next request overwrites.</summary>
internal ref struct Route
{
    public RouteKind Kind;
    public RejectReason Reason;

    /// <summary>Set with <see cref="RouteKind.Redirect"/> and <see cref="RouteKind.NextUrl"/>.</summary>
    public Gateway? Owner;

    /// <summary>The path for the Location.</summary>
    public ReadOnlySpan<byte> Path;

    /// <summary>Empty, or from its question mark on.</summary>
    public ReadOnlySpan<byte> Query;

    /// <summary>With 405, the value of Allow; with <see cref="RouteKind.NotReady"/>, the reason.</summary>
    public ReadOnlySpan<byte> Text;
}

internal enum RouteKind : byte
{
    Reject,
    Redirect,

    /// <summary>GET of a group: the original's text with the URL at the owner.</summary>
    NextUrl,

    /// <summary><c>/test/v1</c>: the original's liveness text.</summary>
    Liveness,

    Healthy,
    Ready,
    NotReady,
}
