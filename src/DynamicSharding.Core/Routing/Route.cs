using DynamicSharding.Diagnostics;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

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
