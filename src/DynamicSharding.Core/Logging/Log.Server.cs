using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>Events of the data listeners, 2000 to 2499. Whatever a client can cause is debug.</summary>
internal static partial class Log
{
    [LoggerMessage(2000, LogLevel.Information, "redirect listener started")]
    public static partial void DataListenerStarted(this ILogger logger, string address, int loops, int maxConnections);

    [LoggerMessage(2001, LogLevel.Debug, "request rejected")]
    public static partial void RequestRejected(this ILogger logger, string reason, string peer);

    [LoggerMessage(2002, LogLevel.Debug, "connection closed")]
    public static partial void ConnectionClosed(this ILogger logger, string reason, string peer);

    [LoggerMessage(2003, LogLevel.Error, "connection failed: internal error, please report it")]
    public static partial void ConnectionFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2004, LogLevel.Warning, "accepting connections failed, retrying; raise the descriptor limit (LimitNOFILE) if this lasts")]
    public static partial void AcceptBackedOff(this ILogger logger, string err);

    [LoggerMessage(2005, LogLevel.Error, "listening socket failed, stopping")]
    public static partial void ListenerDead(this ILogger logger, string err);

    [LoggerMessage(2006, LogLevel.Warning, "epoll_ctl failed")]
    public static partial void EpollControlFailed(this ILogger logger, string err);

    [LoggerMessage(2007, LogLevel.Information, "draining: /-/ready responds with 503, every response closes its connection")]
    public static partial void Draining(this ILogger logger, TimeSpan drainDelay, long connections);

    [LoggerMessage(2008, LogLevel.Information, "stopped accepting, waiting for requests in flight")]
    public static partial void StoppedAccepting(this ILogger logger, long connections, TimeSpan timeout);

    [LoggerMessage(2009, LogLevel.Warning, "shutdown timeout exceeded, resetting connections")]
    public static partial void ConnectionsAborted(this ILogger logger, long connections);

    [LoggerMessage(2010, LogLevel.Information, "stopped")]
    public static partial void Stopped(this ILogger logger);

    [LoggerMessage(2011, LogLevel.Warning, "descriptor limit leaves room for few connections; raise it (LimitNOFILE) or set limits.max_connections")]
    public static partial void FewConnections(this ILogger logger, int maxConnections, int descriptorLimit);

    [LoggerMessage(2012, LogLevel.Information, "event loops run at normal priority: setpriority(2) is not permitted")]
    public static partial void LoopPriorityFailed(this ILogger logger, string err);

    [LoggerMessage(2013, LogLevel.Debug, "TLS failed")]
    public static partial void TlsFailed(this ILogger logger, string err, string peer);

    [LoggerMessage(2014, LogLevel.Information, "request rejected (sampled)")]
    public static partial void RequestRejectedSample(this ILogger logger, string reason, string method, string path, string peer);

    [LoggerMessage(2015, LogLevel.Information, "connection rejected (sampled)")]
    public static partial void ConnectionRejectedSample(this ILogger logger, string reason, string peer);

    [LoggerMessage(2030, LogLevel.Critical, "accepting connections failed: internal error, stopping; please report it")]
    public static partial void AcceptLoopFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2031, LogLevel.Critical, "background task failed: internal error, please report it")]
    public static partial void BackgroundTaskFailed(this ILogger logger, string task, Exception exception);

    [LoggerMessage(2032, LogLevel.Critical, "reload failed: internal error, please report it")]
    public static partial void ReloadBroke(this ILogger logger, Exception exception);

    [LoggerMessage(2033, LogLevel.Information, "configuration not reloaded: shutting down")]
    public static partial void ReloadTooLate(this ILogger logger);
}
