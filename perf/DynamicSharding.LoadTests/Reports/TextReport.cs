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
        foreach (string sentence in RunSummary.Of(run)) text.AppendLine(sentence);
        foreach (string missed in run.EventsMissed) Line(text, $"FAIL {missed}");
        foreach (ScenarioStats stats in run.Scenarios) Write(text, stats);
        return text.ToString();
    }

    private static void Write(StringBuilder text, ScenarioStats stats)
    {
        text.AppendLine();
        Line(text, $"{stats.Scenario.Name}: {RunSummary.Of(stats)}");
        foreach ((FailureKind kind, long count) in RunSummary.Failures(stats)) Line(text, $"  {kind}: {count}");
        Row(text, "", "count", [.. Percentiles.Shown.Select(Percentiles.Name), "max"]);
        foreach ((string name, LatencyHistogram latency) in LatencyRows.Of(stats))
        {
            IEnumerable<long> values = [.. Percentiles.Shown.Select(latency.Percentile), latency.Max];
            Row(text, name, latency.Count.ToString(CultureInfo.InvariantCulture), values.Select(static value => LatencyText.Format(value)));
        }

        foreach (Threshold threshold in stats.Scenario.Thresholds)
        {
            string verdict = threshold.Holds(stats) ? "ok  " : "FAIL";
            Line(text, $"  {verdict} {threshold.Text} (is {RunSummary.Actual(threshold, stats)})");
        }
    }

    private static void Row(StringBuilder text, string name, string count, IEnumerable<string> cells) =>
        Line(text, $"  {name,-16}{count,10}{string.Concat(cells.Select(static cell => cell.PadLeft(10)))}");

    private static void Line(StringBuilder text, FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
}
