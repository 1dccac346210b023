using System.Collections.Immutable;
using System.Diagnostics;
using DynamicSharding.Membership;

namespace DynamicSharding.Admin;

internal static class GatewayStates
{
    public static ImmutableArray<GatewayState> All { get; } =
        [GatewayState.Joining, GatewayState.Member, GatewayState.Leaving, GatewayState.Held, GatewayState.Draining, GatewayState.Out, GatewayState.Refused];

    /// <summary>The value of the <c>state</c> label and of the JSON field.</summary>
    public static string Label(GatewayState state) => state switch
    {
        GatewayState.Joining => "joining",
        GatewayState.Member => "member",
        GatewayState.Leaving => "leaving",
        GatewayState.Held => "held",
        GatewayState.Draining => "draining",
        GatewayState.Out => "out",
        GatewayState.Refused => "refused",
        _ => throw new UnreachableException($"gateway state {state} has no label"),
    };
}
