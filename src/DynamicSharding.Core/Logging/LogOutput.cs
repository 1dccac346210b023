using System.Buffers;
using DynamicSharding.Config;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>
/// Where log lines go: formatted by the caller, written by one thread. A caller never waits for the stream: when its reader stalls, lines are
/// dropped, and the number that is missing is the first thing written once it reads again.
/// </summary>
internal sealed class LogOutput : ILoggerProvider
{
    private readonly LogLineQueue _queue;
    private readonly ILogLineFormatter _formatter;
    private readonly TimeProvider _time;
    private volatile LogLevel _level;

    public LogOutput(Stream stream, LogFormat format, LogLevelName level, TimeProvider time)
    {
        _formatter = format == LogFormat.Json ? new JsonLogFormatter() : new LogfmtFormatter();
        _time = time;
        SetLevel(level);
        _queue = new LogLineQueue(stream, dropped => Format(
            LogLevel.Warning, "log lines dropped because the output stalled", null, [new("count", dropped)], null));
    }

    /// <summary>May be called at any time: a reload changes the level.</summary>
    public void SetLevel(LogLevelName level) => _level = level switch
    {
        LogLevelName.Debug => LogLevel.Debug,
        LogLevelName.Info => LogLevel.Information,
        LogLevelName.Warn => LogLevel.Warning,
        _ => LogLevel.Error,
    };

    public ILogger CreateLogger(string categoryName) => new LineLogger(this, categoryName);

    public bool IsEnabled(LogLevel level) => level >= _level && level != LogLevel.None;

    public void Write(
        LogLevel level, string message, string? component, IReadOnlyList<KeyValuePair<string, object?>> values, Exception? exception) =>
        _queue.Add(Format(level, message, component, values, exception));

    /// <summary>Writes what is queued, for two seconds at most.</summary>
    public void Dispose() => _queue.Dispose();

    private ReadOnlyMemory<byte> Format(
        LogLevel level, string message, string? component, IReadOnlyList<KeyValuePair<string, object?>> values, Exception? exception)
    {
        // A stack is for whoever debugs, and for what must never happen; an unreachable Consul is neither.
        bool withStack = exception is not null && (level == LogLevel.Critical || _level <= LogLevel.Debug);
        string? error = exception is null ? null : Describe(exception);
        var logEvent = new LogEvent(_time.GetUtcNow(), level, message, component, values, error, withStack ? exception!.StackTrace : null);
        var line = new ArrayBufferWriter<byte>(256);
        _formatter.Write(logEvent, line);
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
}

/// <summary>One category's way into the <see cref="LogOutput"/>.</summary>
internal sealed class LineLogger : ILogger
{
    private readonly LogOutput _output;
    private readonly string? _component;

    public LineLogger(LogOutput output, string category)
    {
        _output = output;
        bool foreign = category.StartsWith("Microsoft.", StringComparison.Ordinal) || category.StartsWith("System.", StringComparison.Ordinal);
        _component = foreign ? category : null;
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <summary>A library's info is about itself ("Application started. Press Ctrl+C"): it speaks from warnings on, or to a debugger.</summary>
    public bool IsEnabled(LogLevel logLevel) =>
        _output.IsEnabled(logLevel) && (_component is null || logLevel >= LogLevel.Warning || _output.IsEnabled(LogLevel.Debug));

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel)) return;
        try
        {
            _output.Write(logLevel, formatter(state, exception), _component, ValuesOf(state), exception);
        }
        catch (Exception e)
        {
            // Logging is never the reason that something fails; a state that cannot be printed is a mistake to see, though.
            _output.Write(LogLevel.Error, "a log event could not be written", _component, [new("event_id", eventId.Id)], e);
        }
    }

    /// <summary>Values that the template names are in the message already.</summary>
    private static List<KeyValuePair<string, object?>> ValuesOf<TState>(TState state)
    {
        var values = new List<KeyValuePair<string, object?>>();
        if (state is not IReadOnlyList<KeyValuePair<string, object?>> { Count: > 0 } all) return values;

        string template = all[^1].Key == "{OriginalFormat}" ? all[^1].Value as string ?? "" : "";
        foreach ((string name, object? value) in all)
        {
            if (name == "{OriginalFormat}" || template.Contains("{" + name, StringComparison.OrdinalIgnoreCase)) continue;
            values.Add(new KeyValuePair<string, object?>(LogValue.Name(name), value));
        }

        return values;
    }
}
