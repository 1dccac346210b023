using System.Net;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>Events of the forward listener, 2500 to 2999. What a client or a gateway can cause is debug, and counted.</summary>
internal static partial class Log
{
    [LoggerMessage(2500, LogLevel.Information, "forward listener started")]
    public static partial void ForwardStarted(this ILogger logger, IPEndPoint address, long maxConnections);

    [LoggerMessage(2501, LogLevel.Information, "forward listener stopped")]
    public static partial void ForwardStopped(this ILogger logger);

    [LoggerMessage(2502, LogLevel.Debug, "push not forwarded")]
    public static partial void PushNotForwarded(this ILogger logger, string gateway, int code, string err);

    [LoggerMessage(2503, LogLevel.Error, "forwarding failed: internal error, please report it")]
    public static partial void ForwardFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2504, LogLevel.Debug, "gateway broke off its response, resetting the client's connection")]
    public static partial void ResponseTruncated(this ILogger logger, string gateway, string err);
}
