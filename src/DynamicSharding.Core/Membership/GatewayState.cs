using System.Collections.Immutable;
using System.Diagnostics;

namespace DynamicSharding.Membership;

/// <summary>Where a gateway stands towards the ring.</summary>
internal enum GatewayState
{
    /// <summary>Healthy, not long enough to be let in.</summary>
    Joining,

    /// <summary>In the ring.</summary>
    Member,

    /// <summary>In the ring, unhealthy, about to go once the change has settled.</summary>
    Leaving,

    /// <summary>In the ring, unhealthy, kept because too many left at once.</summary>
    Held,

    /// <summary>In maintenance by an operator: out of the ring, or about to be.</summary>
    Draining,

    /// <summary>Not in the ring.</summary>
    Out,

    /// <summary>Discovered, and not allowed by the configuration: it gets no request of ours.</summary>
    Refused,
}

/// <summary>One gateway's place in or outside the ring, for operators.</summary>
/// <param name="Address"><c>host:port</c>.</param>
/// <param name="State">Where it stands now.</param>
/// <param name="Since">When it came to that state.</param>
/// <param name="Reason">A sentence: why it is in that state.</param>
/// <param name="CheckOutput">What the last health check said, if it said anything.</param>
/// <param name="Overloaded">It answers that its write queue is full, and stays a member for that.</param>
internal sealed record GatewayStatus(
    string Address, GatewayState State, DateTimeOffset Since, string Reason, string? CheckOutput, bool Overloaded);

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
