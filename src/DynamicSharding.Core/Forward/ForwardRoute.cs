using DynamicSharding.Diagnostics;
using DynamicSharding.Routing;

namespace DynamicSharding.Forward;

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
