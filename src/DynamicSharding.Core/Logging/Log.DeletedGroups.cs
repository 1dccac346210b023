using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>7100-7199: copies of groups that clients deleted.</summary>
internal static partial class Log
{
    [LoggerMessage(7100, LogLevel.Information, "copy of a deleted group")]
    public static partial void CopyOfDeletedGroup(this ILogger logger, string group, string gateway, string result);

    [LoggerMessage(7101, LogLevel.Warning, "reading a gateway's groups failed, trying again")]
    public static partial void GroupsUnread(this ILogger logger, string error);

    [LoggerMessage(7102, LogLevel.Information, "reading a gateway's groups succeeded again")]
    public static partial void GroupsRead(this ILogger logger, string gateway);
}
