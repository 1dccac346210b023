namespace DynamicSharding.FunctionalTests.Forward;

public enum GatewayFault
{
    None,

    /// <summary>Accepts, reads and never responds.</summary>
    Silent,

    /// <summary>Closes in the middle of the response head.</summary>
    HalfAnAnswer,

    /// <summary>Closes instead of responding.</summary>
    NoAnswer,

    /// <summary>Responds, and closes the connection that it announced to keep.</summary>
    ClosesWhenIdle,

    /// <summary>Reads a kilobyte a second; its kernel buffers little more.</summary>
    Slow,

    /// <summary>Resets all connections and stops listening.</summary>
    Dead,
}
