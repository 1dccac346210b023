namespace DynamicSharding.Server;

/// <summary>What a connection does after its session has handled the input.</summary>
internal enum SessionStep : byte
{
    /// <summary>All complete requests have their responses; read more.</summary>
    Read,

    /// <summary>The push waits for its gateway: send the output, then wait to be woken.</summary>
    Wait,

    /// <summary>The gateway broke off its response after a part of it was relayed: reset the connection.</summary>
    Reset,

    /// <summary>The output is full: send it, then continue with the same input.</summary>
    Flush,

    /// <summary>The last response is written and nothing more is expected: close.</summary>
    Close,

    /// <summary>
    /// The last response is written, but the client may still be sending: half-close and keep reading for a while, because closing with unread
    /// bytes resets the connection and can destroy the response (RFC 9112 9.6).
    /// </summary>
    Linger,
}

/// <summary>Why the content of a push does not arrive.</summary>
internal enum PushEnd : byte
{
    /// <summary>The client has closed its side.</summary>
    ClientClosed,

    /// <summary>The client is too slow.</summary>
    BodyTimeout,
}
