using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The report as one self-contained page.</summary>
internal static class HtmlReport
{
    private const string Explanation =
        "Latency runs from the time at which a request was due to the last byte of its reply. Generator lag is how late the load generator " +
        "itself was: where it comes near the latency, the machine was too busy to measure.";

    private static readonly string Style = ReadStyle();

    public static string Write(RunStats run)
    {
        var html = new StringBuilder();
        Line(html, $"<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">");
        Line(html, $"<title>{Encode(run.Test.Name)} – load test</title>\n<style>\n{Style}</style></head>\n<body>");
        Line(html, $"<h1>{Encode(run.Test.Name)} <span class=\"{(run.Passed ? "ok\">passed" : "fail\">failed")}</span></h1>");
        Line(html, $"<p>{Encode(run.Test.Description)}</p>");
        foreach (string sentence in RunSummary.Of(run)) Line(html, $"<p class=\"soft\">{Encode(sentence)}</p>");
        foreach (string missed in run.EventsMissed) Line(html, $"<p class=\"fail\">{Encode(missed)}</p>");
        html.Append(LatencyCharts.Distribution(run));
        foreach (ScenarioStats stats in run.Scenarios) Write(html, run, stats);
        Line(html, $"<p class=\"soft\">{Explanation}</p>\n</body>\n</html>");
        return html.ToString();
    }

    private static void Write(StringBuilder html, RunStats run, ScenarioStats stats)
    {
        Line(html, $"<h2>{Encode(stats.Scenario.Name)}</h2>\n<p>{RunSummary.Of(stats)}</p>");
        foreach ((FailureKind kind, long count) in RunSummary.Failures(stats)) Line(html, $"<p class=\"fail\">{kind}: {count}</p>");
        Line(html, $"<table>");
        Row(html, "th", ["", "count", .. Percentiles.Shown.Select(Percentiles.Name), "max"]);
        foreach ((string name, LatencyHistogram latency) in LatencyRows.Of(stats))
        {
            IEnumerable<long> values = [.. Percentiles.Shown.Select(latency.Percentile), latency.Max];
            Row(html, "td", [name, latency.Count.ToString(CultureInfo.InvariantCulture), .. values.Select(static value => LatencyText.Format(value))]);
        }

        Line(html, $"</table>\n<table><tr><th>threshold</th><th>is</th><th></th></tr>");
        foreach (Threshold threshold in stats.Scenario.Thresholds)
        {
            string verdict = threshold.Holds(stats) ? "ok" : "fail";
            Line(html, $"<tr><td>{Encode(threshold.Text)}</td><td>{RunSummary.Actual(threshold, stats)}</td><td class=\"{verdict}\">{verdict}</td></tr>");
        }

        Line(html, $"</table>\n{LatencyCharts.OverTime(run, stats)}");
    }

    private static void Row(StringBuilder html, string element, IEnumerable<string> cells) =>
        Line(html, $"<tr>{string.Concat(cells.Select(cell => $"<{element}>{Encode(cell)}</{element}>"))}</tr>");

    private static string ReadStyle()
    {
        using var reader = new StreamReader(typeof(HtmlReport).Assembly.GetManifestResourceStream("report.css")!);
        return reader.ReadToEnd();
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static void Line(StringBuilder html, FormattableString line) =>
        html.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
