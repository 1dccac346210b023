using DynamicSharding.Http;

namespace DynamicSharding.Routing;

/// <summary>
/// The one answer to "what is this request, and who owns its group?". One object per event loop, because <see cref="GroupingKey"/> keeps
/// its scratch memory; all of them read the same ring.
/// </summary>
internal sealed class Router(ActiveRing ring, GroupingKey key, Readiness readiness)
{
    /// <param name="target">The request-target, not empty.</param>
    public void Respond(RequestMethod method, ReadOnlySpan<byte> target, out Route route)
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

        GroupResult verdict = path.IsEmpty ? GroupResult.NotAGroup : key.Compute(path, out route.Path);
        if (verdict == GroupResult.Group) RespondToGroup(method, query, ref route);
        else if (verdict == GroupResult.Rejected) route.Reason = key.Reason;
        else RespondElsewhere(method, path, ref route);
    }

    private void RespondToGroup(RequestMethod method, ReadOnlySpan<byte> query, ref Route route)
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

    private void RespondElsewhere(RequestMethod method, ReadOnlySpan<byte> path, ref Route route)
    {
        RouteKind kind = path switch
        {
            _ when path.SequenceEqual("/-/healthy"u8) => RouteKind.Healthy,
            _ when path.SequenceEqual("/-/ready"u8) => RouteKind.Ready,
            _ when path.SequenceEqual("/test/v1"u8) => RouteKind.Liveness,
            _ => RouteKind.Reject,
        };

        if (kind == RouteKind.Reject)
        {
            // CONNECT and "OPTIONS *" have no path: the server as a whole does not do that.
            route.Reason = path.IsEmpty && method is RequestMethod.Connect or RequestMethod.Options
                ? RejectReason.MethodNotAllowed
                : RejectReason.NotFound;
            if (route.Reason == RejectReason.MethodNotAllowed) route.Text = "GET, HEAD, PUT, POST, DELETE"u8;
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
}

/// <summary>What is to be answered to one request. The spans point into the request or the router's scratch memory: use before the next.</summary>
internal ref struct Route
{
    public RouteKind Kind;
    public RejectReason Reason;

    /// <summary>With <see cref="RouteKind.Redirect"/> and <see cref="RouteKind.NextUrl"/>.</summary>
    public Gateway? Owner;

    /// <summary>The path as the Location carries it.</summary>
    public ReadOnlySpan<byte> Path;

    /// <summary>Empty, or from its question mark on.</summary>
    public ReadOnlySpan<byte> Query;

    /// <summary>With 405: the value of Allow. With <see cref="RouteKind.NotReady"/>: the sentence why.</summary>
    public ReadOnlySpan<byte> Text;
}

internal enum RouteKind : byte
{
    Reject,
    Redirect,

    /// <summary>GET of a group: the original's text that names the owner.</summary>
    NextUrl,

    /// <summary><c>/test/v1</c>, the original's liveness text.</summary>
    Liveness,
    Healthy,
    Ready,
    NotReady,
}
