using System.Collections.Immutable;

namespace DynamicSharding.Membership;

/// <summary>The names are in <see cref="GatewayStates"/>, in this order.</summary>
internal enum GatewayState
{
    /// <summary>Healthy, but not yet for long enough.</summary>
    Joining,

    /// <summary>In the ring.</summary>
    Member,

    /// <summary>In the ring, unhealthy, leaving once the change has settled.</summary>
    Leaving,

    /// <summary>In the ring, unhealthy, kept because too many were lost at once.</summary>
    Held,

    /// <summary>In maintenance, or of weight 0: out of the ring or leaving it.</summary>
    Draining,

    /// <summary>Not in the ring.</summary>
    Out,

    /// <summary>Discovered, but not allowed by the configuration: it gets no request from us.</summary>
    Refused,
}

/// <summary>A gateway's state, for operators.</summary>
/// <param name="CheckOutput">Of the last health check, if it had any.</param>
/// <param name="Overloaded">Its write queue is full, and it stays a member.</param>
internal sealed record GatewayStatus(
    string Address, GatewayState State, DateTimeOffset Since, string Reason, string? CheckOutput, bool Overloaded)
{
    /// <summary>That it should have; 0 keeps it out of the ring.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Not in the ring, and nothing is known of its health yet: neither a failure nor a loss.</summary>
    public bool IsBeingChecked { get; init; }

    /// <summary>Its last health check passed, or it is not checked.</summary>
    public bool IsHealthy { get; init; }
}

internal static class GatewayStates
{
    private static readonly ImmutableArray<string> Labels = ["joining", "member", "leaving", "held", "draining", "out", "refused"];

    public static ImmutableArray<GatewayState> All { get; } = [.. Enum.GetValues<GatewayState>()];

    /// <summary>The value of the <c>state</c> label and of the JSON field.</summary>
    public static string Label(GatewayState state) => Labels[(int)state];
}
