using System.Buffers;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>One event as a formatter sees it.</summary>
/// <param name="Component">The library that speaks; null for this program's own events.</param>
/// <param name="Values">Named values that the message does not contain already, under the names that the line shows.</param>
/// <param name="Error">The failure in one sentence, or null.</param>
/// <param name="Stack">Where the failure came from, when the line should carry it.</param>
internal readonly record struct LogEvent(
    DateTimeOffset Time,
    LogLevel Level,
    string Message,
    string? Component,
    IReadOnlyList<KeyValuePair<string, object?>> Values,
    string? Error,
    string? Stack)
{
    /// <summary>As the Prometheus programs call their levels.</summary>
    public string LevelName => Level switch
    {
        LogLevel.Trace or LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        _ => "error",
    };

    /// <summary>UTC with milliseconds, as go-kit's and Prometheus' loggers print it.</summary>
    public string TimeText => Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>How an event becomes one line: <see cref="LogfmtFormatter"/> or <see cref="JsonLogFormatter"/>.</summary>
internal interface ILogLineFormatter
{
    /// <summary>Writes one line with its line feed; no other line feed whatever the values are.</summary>
    void Write(in LogEvent logEvent, IBufferWriter<byte> output);
}
