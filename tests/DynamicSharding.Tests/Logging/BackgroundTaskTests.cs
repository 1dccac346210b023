using System.Runtime.CompilerServices;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Logging;

/// <summary>Tasks that nobody awaits: their failure is a line.</summary>
public sealed class BackgroundTaskTests
{
    [Fact]
    public async Task A_watched_task_that_fails_is_logged_and_a_canceled_one_is_not()
    {
        Lines lines = new();
        await Assert.ThrowsAsync<InvalidOperationException>(() => Task.FromException(new InvalidOperationException("broken")).LogFailure(lines, "counting"));
        await Assert.ThrowsAsync<TaskCanceledException>(() => Task.FromCanceled(new CancellationToken(canceled: true)).LogFailure(lines, "counting"));
        await Task.CompletedTask.LogFailure(lines, "counting");
        Assert.Equal(["2031 broken"], lines.All);
    }

    [Fact]
    public async Task A_task_that_everybody_forgot_is_logged_when_the_collector_finds_it()
    {
        Lines lines = new();
        using (BackgroundTask.LogUnobservedFailures(lines))
        {
            for (int i = 0; i < 100 && !lines.All.Contains("2031 forgotten"); i++)
            {
                Forget();
                GC.Collect();
                GC.WaitForPendingFinalizers();
                await Task.Delay(10);
            }
        }

        Assert.Contains("2031 forgotten", lines.All);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget() => _ = Task.FromException(new InvalidOperationException("forgotten"));

    private sealed class Lines : ILogger
    {
        private readonly List<string> _lines = [];

        public string[] All
        {
            get
            {
                lock (_lines) return [.. _lines];
            }
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_lines) _lines.Add($"{eventId.Id} {exception?.Message}");
        }
    }
}
