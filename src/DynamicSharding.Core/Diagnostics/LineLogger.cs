using Microsoft.Extensions.Logging;

namespace DynamicSharding.Diagnostics;

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
