using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Discovery;

/// <summary>Keeps every event with its key=value pairs as one line of text.</summary>
internal sealed class LogCapture : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string Line)> _lines = [];

    public string[] Lines(LogLevel atLeast = LogLevel.Trace) => [.. _lines.Where(l => l.Level >= atLeast).Select(l => l.Line)];

    public int Count(string part) => _lines.Count(l => l.Line.Contains(part, StringComparison.Ordinal));

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        IEnumerable<KeyValuePair<string, object?>> pairs = state as IEnumerable<KeyValuePair<string, object?>> ?? [];
        _lines.Enqueue((logLevel, formatter(state, exception) + string.Concat(pairs.Select(p => $" {p.Key}={p.Value}"))));
    }
}
