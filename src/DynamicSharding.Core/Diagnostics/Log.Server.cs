using Microsoft.Extensions.Logging;

namespace DynamicSharding.Diagnostics;

/// <summary>Events of the data listener, 2000 to 2999. Whatever a client can cause is debug.</summary>
internal static partial class Log
{
    [LoggerMessage(2000, LogLevel.Information, "data listener started")]
    public static partial void DataListenerStarted(this ILogger logger, string address, int loops, int maxConnections);

    [LoggerMessage(2001, LogLevel.Debug, "request rejected")]
    public static partial void RequestRejected(this ILogger logger, string reason, string peer);

    [LoggerMessage(2002, LogLevel.Debug, "connection closed")]
    public static partial void ConnectionClosed(this ILogger logger, string reason, string peer);

    [LoggerMessage(2003, LogLevel.Error, "a connection failed inside the server; this is a defect, please report it")]
    public static partial void ConnectionFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2004, LogLevel.Warning, "cannot accept connections for now; raise the descriptor limit (LimitNOFILE) if this lasts")]
    public static partial void AcceptBackedOff(this ILogger logger, string err);

    [LoggerMessage(2005, LogLevel.Error, "the listening socket is dead, stopping")]
    public static partial void ListenerDead(this ILogger logger, string err);

    [LoggerMessage(2006, LogLevel.Warning, "epoll_ctl failed")]
    public static partial void EpollControlFailed(this ILogger logger, string err);

    [LoggerMessage(2007, LogLevel.Information, "draining: ready answers 503, every answer closes its connection")]
    public static partial void Draining(this ILogger logger, TimeSpan drainDelay, long connections);

    [LoggerMessage(2008, LogLevel.Information, "no longer accepting; waiting for requests in flight")]
    public static partial void StoppedAccepting(this ILogger logger, long connections, TimeSpan timeout);

    [LoggerMessage(2009, LogLevel.Warning, "connections cut off because the stop ran out of time")]
    public static partial void ConnectionsAborted(this ILogger logger, long connections);

    [LoggerMessage(2010, LogLevel.Information, "stopped")]
    public static partial void Stopped(this ILogger logger);

    [LoggerMessage(2011, LogLevel.Warning, "room for few connections; raise the descriptor limit (LimitNOFILE) or set limits.max_connections")]
    public static partial void FewConnections(this ILogger logger, int maxConnections, int descriptorLimit);

    [LoggerMessage(2012, LogLevel.Information, "the data plane's threads are not preferred to the others; allow setpriority(2)")]
    public static partial void LoopsNotPreferred(this ILogger logger, string err);

    [LoggerMessage(2030, LogLevel.Critical, "accepting connections failed inside the server, stopping; this is a defect, please report it")]
    public static partial void AcceptLoopFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2031, LogLevel.Critical, "a background task failed inside the server; this is a defect, please report it")]
    public static partial void BackgroundTaskFailed(this ILogger logger, string task, Exception exception);

    [LoggerMessage(2032, LogLevel.Critical, "reload failed inside the server; this is a defect, please report it")]
    public static partial void ReloadBroke(this ILogger logger, Exception exception);

    [LoggerMessage(2033, LogLevel.Information, "configuration not reloaded: the server is stopping")]
    public static partial void ReloadTooLate(this ILogger logger);
}
