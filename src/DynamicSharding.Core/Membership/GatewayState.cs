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
