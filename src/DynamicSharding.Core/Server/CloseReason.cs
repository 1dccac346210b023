namespace DynamicSharding.Server;

/// <summary>Why a connection ended. The first reason wins.</summary>
internal enum CloseReason : byte
{
    /// <summary>The client closed between requests.</summary>
    ClientClosed,

    /// <summary>No request within the idle timeout.</summary>
    Idle,

    /// <summary>The head of a request did not arrive in time, counted from its first byte.</summary>
    HeaderTimeout,

    /// <summary>The content came slower than the minimum rate, or paused for the idle timeout.</summary>
    BodyTimeout,

    /// <summary>The client did not read its responses.</summary>
    WriteTimeout,

    /// <summary>After the last response and our half-close the client did not close its side in time, sending or silent.</summary>
    LingerTimeout,

    /// <summary>After the last response and our half-close the client closed its side in time.</summary>
    Lingered,

    /// <summary>Like <see cref="Lingered"/>, after a request that broke the framing of the connection.</summary>
    Rejected,

    /// <summary><c>Connection: close</c>, or HTTP/1.0 without keep-alive.</summary>
    ConnectionCloseRequested,

    /// <summary>Closed after its last response because the server is stopping.</summary>
    Drained,

    /// <summary>Reset because the server's stop ran out of time.</summary>
    Aborted,

    /// <summary>Reset by the client.</summary>
    Reset,

    /// <summary>Over the connection limit: 503 and closed.</summary>
    TooManyConnections,

    /// <summary>A defect of the server, which is in the log.</summary>
    IoError,

    /// <summary>The TLS handshake failed or took too long, or what followed was not TLS.</summary>
    TlsFailed,

    /// <summary>No header of the PROXY protocol came first, or not in time, or it was malformed.</summary>
    BadProxyHeader,

    /// <summary>The peer is not in <c>trusted_proxies</c>.</summary>
    UntrustedProxy,

    /// <summary>A header of the PROXY protocol came where a TLS handshake was expected.</summary>
    UnexpectedProxyHeader,
}

internal static class CloseReasons
{
    public const int Count = (int)CloseReason.UnexpectedProxyHeader + 1;

    private static readonly string[] Labels =
    [
        "client_closed", "idle", "header_timeout", "body_timeout", "write_timeout", "linger_timeout", "lingered", "rejected",
        "connection_close_requested", "drained", "aborted", "reset", "too_many_connections", "io_error", "tls_failed",
        "bad_proxy_header", "untrusted_proxy", "unexpected_proxy_header",
    ];

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(CloseReason reason) => Labels[(int)reason];
}
