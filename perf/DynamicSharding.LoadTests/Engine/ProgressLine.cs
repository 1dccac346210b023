using System.Globalization;
using DynamicSharding.LoadTests.Model;
using DynamicSharding.LoadTests.Reports;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>One line a second on a terminal, written over itself; one in five seconds where it is kept.</summary>
internal sealed class ProgressLine(TextWriter output, bool isTerminal)
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    private const int KeptEvery = 5;

    public async Task ShowAsync(LoadTest test, RunClock clock, ScenarioRecorder[] recorders, Task run)
    {
        long repliesBefore = 0;
        for (int step = 1; ; step++)
        {
            await Task.WhenAny(run, Task.Delay(Step)).ConfigureAwait(false);
            if (run.IsCompleted) break;
            if (!isTerminal && step % KeptEvery != 0) continue;
            long replies = recorders.Sum(static recorder => recorder.Replies);
            double rate = (replies - repliesBefore) / (isTerminal ? 1.0 : KeptEvery);
            repliesBefore = replies;
            string line = Describe(test, clock, rate, replies, recorders.Sum(static recorder => recorder.Failed), recorders.Max(static recorder => recorder.TakeWorst()));
            await output.WriteAsync(isTerminal ? $"\r{line}\u001b[K" : line + "\n").ConfigureAwait(false);
        }

        if (isTerminal) await output.WriteAsync("\r\u001b[K").ConfigureAwait(false);
    }

    private static string Describe(LoadTest test, RunClock clock, double rate, long replies, long failed, long worst)
    {
        double seconds = clock.Now / 1e9;
        string phase = seconds < 0 ? "warming up" : string.Create(CultureInfo.InvariantCulture, $"{seconds:0} of {test.Duration.TotalSeconds:0} s");
        return string.Create(
            CultureInfo.InvariantCulture, $"{test.Name}: {phase}, {rate:0}/s, {replies} replies, {failed} errors, worst {LatencyText.Format(worst)}");
    }
}
