using System.Globalization;
using System.Text;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The report for a terminal and a log.</summary>
internal static class TextReport
{
    public static string Write(RunStats run)
    {
        var text = new StringBuilder();
        Line(text, $"{run.Test.Name}: {run.Test.Description}");
        Line(text, $"{run.Started:yyyy-MM-dd HH:mm:ss} UTC, {run.Test.Duration.TotalSeconds:0.#} s after {run.Test.WarmUp.TotalSeconds:0.#} s of warm-up, {run.Target}");
        if (run.Server is { } server)
        {
            long requests = Math.Max(1, run.Scenarios.Sum(static stats => stats.Requests));
            Line(text, $"server: {server.Cpu.TotalMicroseconds / requests:0.0} µs of CPU a request, {server.ResidentBytes / 1048576.0:0} MiB resident");
        }

        if (!run.EventTimes.IsEmpty) Line(text, $"{run.Test.Events!.Kind.ToString().ToLowerInvariant()} at {string.Join(", ", run.EventTimes.Select(static time => $"{time.TotalSeconds:0.#}"))} s");
        foreach (string missed in run.EventsMissed) Line(text, $"FAIL {missed}");
        foreach (ScenarioStats stats in run.Scenarios) Write(text, stats);
        return text.ToString();
    }

    private static void Write(StringBuilder text, ScenarioStats stats)
    {
        text.AppendLine();
        Line(text, $"{stats.Scenario.Name}: {stats.Replies} replies, {stats.Rate:0}/s, {stats.Errors} errors, {stats.ConnectionsOpened} connections opened");
        foreach ((FailureKind kind, long count) in Failures(stats)) Line(text, $"  {kind}: {count}");
        text.Append(CultureInfo.InvariantCulture, $"  {"",-16}{"count",10}");
        foreach (double percentile in Percentiles.Shown) text.Append(CultureInfo.InvariantCulture, $"{Percentiles.Name(percentile),10}");
        Line(text, $"{"max",10}");
        foreach ((string name, LatencyHistogram latency) in LatencyRows.Of(stats))
        {
            text.Append(CultureInfo.InvariantCulture, $"  {name,-16}{latency.Count,10}");
            foreach (double percentile in Percentiles.Shown) text.Append(CultureInfo.InvariantCulture, $"{LatencyText.Format(latency.Percentile(percentile)),10}");
            Line(text, $"{LatencyText.Format(latency.Max),10}");
        }

        foreach (Threshold threshold in stats.Scenario.Thresholds) Line(text, $"  {Verdict(threshold, stats)} {threshold.Text} (is {Actual(threshold, stats)})");
    }

    public static string Verdict(Threshold threshold, ScenarioStats stats) => threshold.Holds(stats) ? "ok  " : "FAIL";

    public static string Actual(Threshold threshold, ScenarioStats stats) => threshold.IsLatency
        ? LatencyText.Format(threshold.Actual(stats))
        : threshold.Actual(stats).ToString("0.####", CultureInfo.InvariantCulture);

    public static IEnumerable<(FailureKind Kind, long Count)> Failures(ScenarioStats stats) =>
        Enum.GetValues<FailureKind>().Select(kind => (kind, stats.Failures[(int)kind])).Where(static failure => failure.Item2 > 0);

    private static void Line(StringBuilder text, FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
}
