namespace DynamicSharding.FunctionalTests.Forward;

public enum GatewayFault
{
    None,

    /// <summary>Accepts, reads, and never answers.</summary>
    Silent,

    /// <summary>Closes in the middle of its answer's head.</summary>
    HalfAnAnswer,

    /// <summary>Closes instead of answering.</summary>
    NoAnswer,

    /// <summary>Answers, and closes the connection that it announced to keep.</summary>
    ClosesWhenIdle,

    /// <summary>Takes a kilobyte a second, and its kernel little more.</summary>
    Slow,

    /// <summary>Resets all of its connections and listens no more.</summary>
    Dead,
}
