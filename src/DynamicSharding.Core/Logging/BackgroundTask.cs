using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>Logs the failures of tasks that are awaited only at the end of the process, or never.</summary>
internal static class BackgroundTask
{
    /// <summary>Logs a failure as soon as it happens. A cancellation is no failure.</summary>
    /// <param name="what">What the task does, for the log.</param>
    /// <returns>The same task.</returns>
    public static Task LogFailure(this Task task, ILogger logger, string what)
    {
        task.ContinueWith(
            failed => logger.BackgroundTaskFailed(what, failed.Exception!.InnerException!),
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        return task;
    }

    /// <summary>Logs failures of tasks that nothing watches, once the garbage collector finds them.</summary>
    public static IDisposable LogUnobservedFailures(ILogger logger)
    {
        EventHandler<UnobservedTaskExceptionEventArgs> handler = (_, e) =>
        {
            logger.BackgroundTaskFailed("unknown", e.Exception.InnerException ?? e.Exception);
            e.SetObserved();
        };
        TaskScheduler.UnobservedTaskException += handler;
        return new Registration(handler);
    }

    private sealed class Registration(EventHandler<UnobservedTaskExceptionEventArgs> handler) : IDisposable
    {
        public void Dispose() => TaskScheduler.UnobservedTaskException -= handler;
    }
}
