using System.Collections.Immutable;
using System.Net;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>Runs the scenarios of a test at the same time and reports progress. NBomber's runner could replace it.</summary>
internal static class LoadRunner
{
    /// <summary>Time to start the threads before the warm-up.</summary>
    private static readonly TimeSpan Lead = TimeSpan.FromMilliseconds(200);

    /// <param name="atZero">Called where recording begins.</param>
    /// <param name="onEvent">Called at each of the events' times.</param>
    public static async Task<ImmutableArray<ScenarioStats>> RunAsync(
        LoadTest test, IPEndPoint target, Action atZero, Action onEvent, ProgressLine progress, CancellationToken cancellation)
    {
        ScenarioRunner[] runners =
            [.. test.Scenarios.Select(scenario => new ScenarioRunner(scenario, test.WarmUp, test.Events, target))];
        try
        {
            // Collect now, not while the clock runs.
            GC.Collect();
            var clock = new RunClock(test.WarmUp + Lead);
            Task[] running = [.. runners.Select(runner => StartThread(runner, clock, cancellation))];
            Task all = Task.WhenAll(running);
            Task events = RaiseEventsAsync(test, clock, atZero, onEvent, cancellation);
            await progress.ShowAsync(test, clock, [.. runners.Select(static runner => runner.Recorder)], all).ConfigureAwait(false);
            await all.ConfigureAwait(false);
            await events.ConfigureAwait(false);
            return [.. runners.Select(static runner => runner.Recorder.Finish())];
        }
        finally
        {
            foreach (ScenarioRunner runner in runners) runner.Dispose();
        }
    }

    private static Task StartThread(ScenarioRunner runner, RunClock clock, CancellationToken cancellation)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                runner.Run(clock, cancellation);
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        })
        { IsBackground = true, Name = runner.Scenario.Name };
        thread.Start();
        return done.Task;
    }

    private static async Task RaiseEventsAsync(
        LoadTest test, RunClock clock, Action atZero, Action onEvent, CancellationToken cancellation)
    {
        await WaitUntilAsync(clock, TimeSpan.Zero, cancellation).ConfigureAwait(false);
        atZero();
        foreach (TimeSpan time in test.Events?.Times(test.Duration) ?? [])
        {
            await WaitUntilAsync(clock, time, cancellation).ConfigureAwait(false);
            onEvent();
        }
    }

    private static Task WaitUntilAsync(RunClock clock, TimeSpan time, CancellationToken cancellation)
    {
        double nanoseconds = time.TotalNanoseconds - clock.Now;
        return nanoseconds > 0 ? Task.Delay(TimeSpan.FromMilliseconds(nanoseconds / 1e6), cancellation) : Task.CompletedTask;
    }
}
