namespace DynamicSharding.Server;

/// <summary>What a connection is waiting for, and so what its one deadline means.</summary>
internal enum DeadlineKind : byte
{
    None,

    /// <summary>The next request; silence is no fault.</summary>
    Idle,

    /// <summary>The rest of a request's head, counted from its first byte.</summary>
    Head,

    /// <summary>Content, at a minimum rate.</summary>
    Body,

    /// <summary>Room in the client's window for an answer.</summary>
    Write,

    /// <summary>The client's end of a connection that is answered and half-closed.</summary>
    Linger,

    /// <summary>The server's stop: idle connections end at once.</summary>
    Drain,

    /// <summary>The server's stop has run out of time.</summary>
    Abort,
}
