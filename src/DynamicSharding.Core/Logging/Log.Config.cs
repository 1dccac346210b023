using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>Events of the process and its configuration: 1000 to 1999.</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "starting dynamic-sharding")]
    public static partial void Starting(this ILogger logger, string version, string revision, string configFile);

    [LoggerMessage(1001, LogLevel.Error, "configuration error")]
    public static partial void ConfigurationError(this ILogger logger, string err);

    [LoggerMessage(1002, LogLevel.Warning, "configuration warning")]
    public static partial void ConfigurationWarning(this ILogger logger, string err);

    [LoggerMessage(1003, LogLevel.Warning, "changed keys take effect only after a restart")]
    public static partial void RestartNeeded(this ILogger logger, IEnumerable<string> keys);

    [LoggerMessage(1004, LogLevel.Error, "configuration reload failed, keeping the current configuration")]
    public static partial void ReloadFailed(this ILogger logger, int errors);

    [LoggerMessage(1005, LogLevel.Information, "configuration reloaded")]
    public static partial void Reloaded(this ILogger logger, IEnumerable<string> changed);

    [LoggerMessage(1006, LogLevel.Information, "ready")]
    public static partial void Ready(this ILogger logger, int members, string fingerprint, TimeSpan after);

    [LoggerMessage(1007, LogLevel.Information, "received signal, shutting down; a second signal stops immediately")]
    public static partial void StopRequested(this ILogger logger, string signal);

    [LoggerMessage(1008, LogLevel.Warning, "stopped without draining")]
    public static partial void StoppedImmediately(this ILogger logger, string signal);

    [LoggerMessage(1009, LogLevel.Error, "startup failed")]
    public static partial void StartFailed(this ILogger logger, string err);

    [LoggerMessage(1010, LogLevel.Warning, "sd_notify failed")]
    public static partial void NotifyFailed(this ILogger logger, string err);

    [LoggerMessage(1011, LogLevel.Error, "data plane does not respond; the watchdog will kill this process if this persists")]
    public static partial void SelfCheckFailed(this ILogger logger, string err, TimeSpan watchdog);

    [LoggerMessage(1012, LogLevel.Information, "data plane responds again")]
    public static partial void SelfCheckRecovered(this ILogger logger);

    [LoggerMessage(1013, LogLevel.Warning, "http_listen_addr ignored: the inherited socket is bound to another address")]
    public static partial void ListenAddressNotUsed(this ILogger logger, string configured, string bound);

    [LoggerMessage(
        1014,
        LogLevel.Information,
        "no forward listener: clients that do not follow a 307 lose their pushes, some silently; set forward_listen_addr to open one")]
    public static partial void NoForwardListener(this ILogger logger, string silent);

    [LoggerMessage(1015, LogLevel.Warning, "listen address ignored: the inherited socket is bound to another address")]
    public static partial void AnyListenAddressNotUsed(this ILogger logger, string key, string configured, string bound);
}
