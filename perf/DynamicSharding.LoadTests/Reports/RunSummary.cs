using System.Globalization;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The sentences of both the text and the HTML report.</summary>
internal static class RunSummary
{
    public static IEnumerable<string> Of(RunStats run)
    {
        LoadTest test = run.Test;
        yield return Text(
            $"{run.Started:yyyy-MM-dd HH:mm:ss} UTC, {test.Duration.TotalSeconds:0.#} s after {test.WarmUp.TotalSeconds:0.#} s of warm-up, {run.Target}");
        if (run.Server is { } server)
        {
            double cpu = server.Cpu.TotalMicroseconds / Math.Max(1, run.Scenarios.Sum(static stats => stats.Requests));
            yield return Text($"server: {cpu:0.0} µs of CPU a request, {server.ResidentBytes / 1048576.0:0} MiB resident");
        }

        if (run.EventTimes.IsEmpty) yield break;
        string times = string.Join(", ", run.EventTimes.Select(static time => time.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)));
        yield return $"{(test.Events!.Kind == EventKind.Reshard ? "reshard" : "reload")} at {times} s";
    }

    public static string Of(ScenarioStats stats) =>
        Text($"{stats.Replies} replies, {stats.Rate:0}/s, {stats.Errors} errors, {stats.ConnectionsOpened} connections opened");

    public static IEnumerable<(FailureKind Kind, long Count)> Failures(ScenarioStats stats) =>
        Enum.GetValues<FailureKind>().Select(kind => (kind, stats.Failures[(int)kind])).Where(static failure => failure.Item2 > 0);

    public static string Actual(Threshold threshold, ScenarioStats stats) => threshold.IsLatency
        ? LatencyText.Format(threshold.Actual(stats))
        : threshold.Actual(stats).ToString("0.####", CultureInfo.InvariantCulture);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
