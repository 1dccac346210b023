namespace DynamicSharding.Routing;

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
