using System.Buffers;
using System.Globalization;
using System.Threading.Channels;
using DynamicSharding.Config;
using Microsoft.Extensions.Logging;
using LogField = System.Collections.Generic.KeyValuePair<string, object?>;

namespace DynamicSharding.Logging;

/// <summary>
/// Where log lines go: formatted by the caller, queued, and written by one thread. A caller never waits for the stream: when its reader
/// stalls, lines are dropped, and a line says how many. Decision 12 says why this is not the framework's console logger.
/// </summary>
internal sealed class LogOutput : ILoggerProvider
{
    /// <summary>Minutes of an instance's own events; a second or so of debug lines under load.</summary>
    private const int Capacity = 4096;

    private const int BatchBytes = 64 * 1024;

    private static readonly TimeSpan FlushTimeout = TimeSpan.FromSeconds(2);

    private readonly Channel<ReadOnlyMemory<byte>> _lines;
    private readonly Stream _stream;
    private readonly LogFormatter _format;
    private readonly TimeProvider _time;
    private readonly Thread _writer;
    private volatile LogLevel _level;
    private long _dropped;

    public LogOutput(Stream stream, LogFormat format, LogLevelName level, TimeProvider time)
    {
        _stream = stream;
        _format = format == LogFormat.Json ? JsonLogFormatter.Write : LogfmtFormatter.Write;
        _time = time;
        SetLevel(level);
        var bounded = new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true };
        _lines = Channel.CreateBounded<ReadOnlyMemory<byte>>(bounded, _ => Interlocked.Increment(ref _dropped));

        // A background thread: a stalled stream must not keep the process alive.
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "log writer" };
        _writer.Start();
    }

    /// <summary>Takes effect at once: a reload may change the level.</summary>
    public void SetLevel(LogLevelName level) => _level = (LogLevel)level;

    public ILogger CreateLogger(string categoryName) => new LineLogger(this, categoryName);

    /// <summary>Writes what is queued, for two seconds at most.</summary>
    public void Dispose()
    {
        _lines.Writer.TryComplete();
        _writer.Join(FlushTimeout);
    }

    private void Add(LogLevel level, string message, string? component, IEnumerable<LogField> values, Exception? exception) =>
        _lines.Writer.TryWrite(Format(level, message, component, values, exception));

    private ReadOnlyMemory<byte> Format(LogLevel level, string message, string? component, IEnumerable<LogField> values, Exception? exception)
    {
        List<LogField> fields =
        [
            // UTC with milliseconds, as Prometheus prints it.
            new("ts", _time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)),
            new("level", LogNames.Of(level)),
            new("msg", message),
        ];
        if (component is not null) fields.Add(new("component", component));
        fields.AddRange(values);
        if (exception is not null) fields.Add(new("err", Describe(exception)));

        // A stack trace is for debugging, and for what must never happen. An unreachable Consul is neither.
        bool wantsStack = level == LogLevel.Critical || _level <= LogLevel.Debug;
        if (wantsStack && exception?.StackTrace is { } stack) fields.Add(new("stack", stack));
        var line = new ArrayBufferWriter<byte>(256);
        _format(fields, line);
        return line.WrittenMemory;
    }

    private static string Describe(Exception exception)
    {
        string text = exception.GetType().Name + ": " + exception.Message;
        for (Exception? inner = exception.InnerException; inner is not null; inner = inner.InnerException)
        {
            // Most wrappers repeat what they wrap.
            if (!text.Contains(inner.Message, StringComparison.Ordinal)) text += ": " + inner.Message;
        }

        return LogValue.Text(text);
    }

    private void WriteLines()
    {
        var batch = new ArrayBufferWriter<byte>(BatchBytes);
        while (_lines.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (batch.WrittenCount < BatchBytes && _lines.Reader.TryRead(out ReadOnlyMemory<byte> line)) batch.Write(line.Span);

            // After the batch: the lines in it are older than the dropped ones.
            if (Interlocked.Exchange(ref _dropped, 0) is > 0 and var dropped)
                batch.Write(Format(LogLevel.Warning, "log lines dropped because the output stalled", null, [new("count", dropped)], null).Span);
            try
            {
                _stream.Write(batch.WrittenSpan);
                _stream.Flush();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or NotSupportedException)
            {
                // Standard error is gone, and there is nowhere to say so.
            }

            batch.ResetWrittenCount();
        }
    }

    private sealed class LineLogger(LogOutput output, string category) : ILogger
    {
        /// <summary>The library that logs; null for this program's own events.</summary>
        private readonly string? _component =
            category.StartsWith("Microsoft.", StringComparison.Ordinal) || category.StartsWith("System.", StringComparison.Ordinal) ? category : null;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        /// <summary>A library's info ("Application started. Press Ctrl+C") is shown only at debug level.</summary>
        public bool IsEnabled(LogLevel logLevel) =>
            logLevel >= output._level && logLevel != LogLevel.None && (_component is null || logLevel >= LogLevel.Warning || output._level <= LogLevel.Debug);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;
            try
            {
                output.Add(logLevel, formatter(state, exception), _component, ValuesOf(state), exception);
            }
            catch (Exception e)
            {
                // Logging never makes anything fail; a state that cannot be formatted is a defect to show, though.
                output.Add(LogLevel.Error, "a log event could not be written", _component, [new("event_id", eventId.Id)], e);
            }
        }

        /// <summary>Values that the template names are in the message already.</summary>
        private static IEnumerable<LogField> ValuesOf<TState>(TState state)
        {
            if (state is not IReadOnlyList<LogField> { Count: > 0 } all) return [];
            string template = all[^1].Key == "{OriginalFormat}" ? all[^1].Value as string ?? "" : "";
            return all
                .Where(field => field.Key != "{OriginalFormat}" && !template.Contains("{" + field.Key, StringComparison.OrdinalIgnoreCase))
                .Select(static field => new LogField(LogValue.Name(field.Key), field.Value is string text ? LogValue.Text(text) : field.Value));
        }
    }
}

/// <summary>Writes one line with its line feed, and no other line feed whatever the values are.</summary>
internal delegate void LogFormatter(IEnumerable<KeyValuePair<string, object?>> fields, IBufferWriter<byte> output);
