using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>6000-6999: what is deleted on gateways, and what is left.</summary>
internal static partial class Log
{
    [LoggerMessage(6000, LogLevel.Information, "deleted a copy of a group")]
    public static partial void CleanupDeleted(this ILogger logger, string group, string gateway, string reason, double pushed, string? owner);

    [LoggerMessage(6001, LogLevel.Information, "would delete a copy of a group (dry run)")]
    public static partial void CleanupWouldDelete(this ILogger logger, string group, string gateway, string reason, double pushed, string? owner);

    [LoggerMessage(6002, LogLevel.Information, "cleanup pass finished")]
    public static partial void CleanupPassFinished(this ILogger logger, long groups, long misplaced, long deleted, long left, double seconds, bool dryRun);

    [LoggerMessage(6003, LogLevel.Debug, "cleanup pass finished, nothing to do")]
    public static partial void CleanupPassIdle(this ILogger logger, long groups, long misplaced, double seconds);

    [LoggerMessage(6004, LogLevel.Warning, "gateway failed during cleanup")]
    public static partial void CleanupGatewayFailed(this ILogger logger, string gateway, string err);

    [LoggerMessage(6005, LogLevel.Information, "cleanup pass ended early")]
    public static partial void CleanupPassStopped(this ILogger logger, string reason);

    [LoggerMessage(6006, LogLevel.Error, "cleanup failed: internal error, please report it")]
    public static partial void CleanupFailed(this ILogger logger, Exception exception);

    [LoggerMessage(6010, LogLevel.Information, "holding the cleanup lease")]
    public static partial void CleanupLeaseHeld(this ILogger logger, string key);

    [LoggerMessage(6011, LogLevel.Information, "no longer holding the cleanup lease")]
    public static partial void CleanupLeaseLost(this ILogger logger, string key);

    [LoggerMessage(6012, LogLevel.Warning, "cannot ask for the cleanup lease")]
    public static partial void CleanupLeaseFailed(this ILogger logger, string err, string hint);

    [LoggerMessage(6013, LogLevel.Information, "can ask for the cleanup lease again")]
    public static partial void CleanupLeaseRecovered(this ILogger logger);
}
