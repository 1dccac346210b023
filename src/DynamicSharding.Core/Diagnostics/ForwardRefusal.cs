namespace DynamicSharding.Diagnostics;

/// <summary>Why the forward listener did not forward a push that the router had found an owner for.</summary>
internal enum ForwardRefusal
{
    /// <summary>413: longer than <c>forward.max_body_bytes</c>.</summary>
    BodyTooLarge,

    /// <summary>503: <c>forward.max_in_flight</c> is reached for the owner.</summary>
    TooManyInFlight,

    /// <summary>408: the client sent its content below the minimum rate.</summary>
    BodyTimeout,

    /// <summary>400: the content ended early, or its chunks are malformed.</summary>
    BrokenBody,

    /// <summary>508: it came through this process before.</summary>
    Loop,
}
