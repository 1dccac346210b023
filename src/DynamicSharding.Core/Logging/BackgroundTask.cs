using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>Tasks that nobody awaits before the end of the process: one that fails is a defect, and must not be a silent one.</summary>
internal static class BackgroundTask
{
    /// <summary>Logs the failure of a task, as soon as it fails. A cancellation is none.</summary>
    /// <param name="task">Not awaited, or with its exceptions suppressed.</param>
    /// <param name="logger">Where its owner logs.</param>
    /// <param name="what">What the task does, for the reader of the log.</param>
    /// <returns>The same task.</returns>
    public static Task Watched(this Task task, ILogger logger, string what)
    {
        task.ContinueWith(
            failed => logger.BackgroundTaskFailed(what, failed.Exception!.InnerException!),
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        return task;
    }

    /// <summary>The net below: a task that failed and was forgotten by everybody is logged when the collector finds it.</summary>
    public static IDisposable LogForgotten(ILogger logger)
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
