namespace DynamicSharding.Server;

/// <summary>What a connection does after its session has gone through the bytes at hand.</summary>
internal enum SessionStep : byte
{
    /// <summary>Everything complete is answered; read on.</summary>
    Read,

    /// <summary>There is no room for another answer: send what is written, then go on with the same input.</summary>
    Flush,

    /// <summary>The last answer is written and every byte that was announced has come: close.</summary>
    Close,

    /// <summary>
    /// The last answer is written, but the client may still be sending: close our side only and read on for a while, because a close with
    /// unread bytes resets the connection and can take the answer with it (RFC 9112 9.6).
    /// </summary>
    Linger,
}
