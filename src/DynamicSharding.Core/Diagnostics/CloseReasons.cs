using System.Diagnostics;

namespace DynamicSharding.Diagnostics;

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
