using System.Diagnostics;

namespace DynamicSharding.Server;

/// <summary>Why a connection ended. The first reason wins; one list serves the metric, the debug line and the tests.</summary>
internal enum CloseReason : byte
{
    /// <summary>The client closed between requests.</summary>
    ClientClosed,

    /// <summary>No request within the idle timeout.</summary>
    Idle,

    /// <summary>A request that began and whose head did not arrive in time.</summary>
    HeaderTimeout,

    /// <summary>A body that came slower than the minimum rate, or stopped for the idle timeout.</summary>
    BodyTimeout,

    /// <summary>A client that did not read its answers.</summary>
    WriteTimeout,

    /// <summary>Answered, half-closed, and the client did not close its side in time, sending or silent.</summary>
    LingerTimeout,

    /// <summary>Answered, half-closed, and the client closed its side in time.</summary>
    Lingered,

    /// <summary>As <see cref="Lingered"/>, after a request that left the framing of the connection not to be trusted.</summary>
    Rejected,

    /// <summary>The client asked for it: <c>Connection: close</c>, or HTTP/1.0 without keep-alive.</summary>
    ConnectionCloseRequested,

    /// <summary>Closed after its last answer because the server is stopping.</summary>
    Drained,

    /// <summary>Cut off because the server's stop ran out of time.</summary>
    Aborted,

    /// <summary>Reset by the client.</summary>
    Reset,

    /// <summary>Over the limit of connections: answered 503 and closed.</summary>
    TooManyConnections,

    /// <summary>A defect of the server's own, which is in the log.</summary>
    IoError,
}

internal static class CloseReasons
{
    public const int Count = (int)CloseReason.IoError + 1;

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(CloseReason reason) => reason switch
    {
        CloseReason.ClientClosed => "client_closed",
        CloseReason.Idle => "idle",
        CloseReason.HeaderTimeout => "header_timeout",
        CloseReason.BodyTimeout => "body_timeout",
        CloseReason.WriteTimeout => "write_timeout",
        CloseReason.LingerTimeout => "linger_timeout",
        CloseReason.Lingered => "lingered",
        CloseReason.Rejected => "rejected",
        CloseReason.ConnectionCloseRequested => "connection_close_requested",
        CloseReason.Drained => "drained",
        CloseReason.Aborted => "aborted",
        CloseReason.Reset => "reset",
        CloseReason.TooManyConnections => "too_many_connections",
        CloseReason.IoError => "io_error",
        _ => throw new UnreachableException($"close reason {reason} has no label"),
    };
}
