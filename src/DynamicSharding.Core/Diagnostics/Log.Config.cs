using Microsoft.Extensions.Logging;

// The message is a fixed sentence; the values stand beside it as keys of the line.
#pragma warning disable SYSLIB1015

namespace DynamicSharding.Diagnostics;

/// <summary>Events of the process and its configuration: 1000 to 1999. Last used: 1003.</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "starting dynamic-sharding")]
    public static partial void Starting(this ILogger logger, string version, string revision, string configFile);

    [LoggerMessage(1001, LogLevel.Error, "configuration error")]
    public static partial void ConfigurationError(this ILogger logger, string problem);

    [LoggerMessage(1002, LogLevel.Warning, "configuration warning")]
    public static partial void ConfigurationWarning(this ILogger logger, string problem);

    [LoggerMessage(1003, LogLevel.Warning, "changed configuration keys wait for a restart")]
    public static partial void RestartNeeded(this ILogger logger, IEnumerable<string> keys);
}
