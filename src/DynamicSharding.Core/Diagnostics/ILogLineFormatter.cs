using System.Buffers;

namespace DynamicSharding.Diagnostics;

/// <summary>How an event becomes one line: <see cref="LogfmtFormatter"/> or <see cref="JsonLogFormatter"/>.</summary>
internal interface ILogLineFormatter
{
    /// <summary>Writes one line with its line feed; no other line feed whatever the values are.</summary>
    void Write(in LogEvent logEvent, IBufferWriter<byte> output);
}
