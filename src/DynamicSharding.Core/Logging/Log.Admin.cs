using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Logging;

/// <summary>
/// Events 5000 to 5999: the admin listener, and TLS files. 2510 and 2511 have numbers of the forward listener, which was on Kestrel, too, when
/// they were chosen; ids do not change, because operators may filter by them.
/// </summary>
internal static partial class Log
{
    [LoggerMessage(2510, LogLevel.Warning, "accepting connections failed on this listener; raise the descriptor limit (LimitNOFILE) if this lasts")]
    public static partial void WebAcceptBackedOff(this ILogger logger, EndPoint address, string err);

    [LoggerMessage(2511, LogLevel.Debug, "warm-up request to this listener failed")]
    public static partial void WarmUpFailed(this ILogger logger, EndPoint address, string err);

    [LoggerMessage(EventId = 5000, Level = LogLevel.Information, Message = "admin listener started")]
    public static partial void AdminStarted(this ILogger logger, IPEndPoint address);

    [LoggerMessage(EventId = 5001, Level = LogLevel.Information, Message = "admin listener stopped")]
    public static partial void AdminStopped(this ILogger logger);

    [LoggerMessage(EventId = 5002, Level = LogLevel.Error, Message = "admin request failed")]
    public static partial void AdminRequestFailed(this ILogger logger, Exception exception, string path);

    [LoggerMessage(EventId = 5003, Level = LogLevel.Debug, Message = "reload rejected: request from another origin")]
    public static partial void CrossOriginRejected(this ILogger logger, StringValues origin);

    [LoggerMessage(EventId = 5004, Level = LogLevel.Debug, Message = "admin request rejected")]
    public static partial void AdminRequestRejected(this ILogger logger, string reason, IPAddress? peer);

    [LoggerMessage(EventId = 5005, Level = LogLevel.Information, Message = "certificate reloaded")]
    public static partial void CertificateReloaded(this ILogger logger, string file);

    [LoggerMessage(EventId = 5006, Level = LogLevel.Warning, Message = "certificate reload failed, keeping the current certificate")]
    public static partial void CertificateReloadFailed(this ILogger logger, string file, string err);

    [LoggerMessage(
        EventId = 5007,
        Level = LogLevel.Warning,
        Message = "silent connections closed for new ones: the admin listener is full; find the clients that connect to it and send nothing")]
    public static partial void SilentConnectionsClosed(this ILogger logger, long closed, int maxConnections);

    [LoggerMessage(EventId = 5008, Level = LogLevel.Information, Message = "gateway TLS files reloaded")]
    public static partial void GatewayTlsReloaded(this ILogger logger);

    [LoggerMessage(EventId = 5009, Level = LogLevel.Warning, Message = "gateway TLS reload failed, keeping the previous files")]
    public static partial void GatewayTlsReloadFailed(this ILogger logger, string err);
}
