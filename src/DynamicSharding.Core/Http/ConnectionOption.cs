namespace DynamicSharding.Http;

/// <summary>What a response says in its Connection field.</summary>
internal enum ConnectionOption : byte
{
    /// <summary>Nothing: HTTP/1.1 persists by itself.</summary>
    None,
    Close,

    /// <summary>An HTTP/1.0 client that asked for it must be told (RFC 9112 9.3).</summary>
    KeepAlive,
}
