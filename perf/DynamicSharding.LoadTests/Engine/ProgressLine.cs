using System.Globalization;
using DynamicSharding.LoadTests.Model;
using DynamicSharding.LoadTests.Reports;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>On a terminal, one line that is rewritten every second; otherwise a line every five seconds.</summary>
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
            long failed = recorders.Sum(static recorder => recorder.Failed);
            long worst = recorders.Max(static recorder => recorder.TakeWorst());
            string line = Text($"{test.Name}: {Phase(test, clock)}, {rate:0}/s, {replies} replies, {failed} errors, worst {LatencyText.Format(worst)}");
            await output.WriteAsync(isTerminal ? $"\r{line}\u001b[K" : line + "\n").ConfigureAwait(false);
        }

        if (isTerminal) await output.WriteAsync("\r\u001b[K").ConfigureAwait(false);
    }

    private static string Phase(LoadTest test, RunClock clock)
    {
        double seconds = clock.Now / 1e9;
        return seconds < 0 ? "warming up" : Text($"{seconds:0} of {test.Duration.TotalSeconds:0} s");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
