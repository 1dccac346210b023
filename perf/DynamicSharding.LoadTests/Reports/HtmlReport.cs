using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The report as one page that needs nothing but itself.</summary>
internal static class HtmlReport
{
    private const string Style = """
        :root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6778; --line: #d9dee7; --back: #ffffff; --good: #14743c; --bad: #b3261e; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #39414f; --back: #14181f; --good: #63c98d; --bad: #ff8a80; } }
        body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); }
        h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } p { margin: .3rem 0; } .soft { color: var(--soft); }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; } th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
        th:first-child, td:first-child { text-align: left; } .ok { color: var(--good); } .fail { color: var(--bad); font-weight: 600; }
        svg { width: 100%; height: auto; margin: 1rem 0; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; } svg .title { fill: var(--ink); font-size: 14px; font-weight: 600; }
        .grid { stroke: var(--line); } .mark { stroke: var(--bad); stroke-dasharray: 4 3; } polyline { fill: none; } polyline, [class^=s] { stroke-width: 2; }
        .s0 { stroke: #2f6fdb; } .s1 { stroke: #d9822b; } .s2 { stroke: #b3261e; } .s3 { stroke: #14945a; } .s4 { stroke: #8a4fd0; } .s5 { stroke: #0e97a7; } .s6 { stroke: #c2418f; } .s7 { stroke: #7d8795; }
        """;

    public static string Write(RunStats run)
    {
        var html = new StringBuilder();
        string name = Encode(run.Test.Name);
        html.Append(CultureInfo.InvariantCulture, $"<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{name} – load test</title>\n<style>\n");
        html.Append(Style).Append("\n</style></head>\n<body>\n");
        Line(html, $"<h1>{name} <span class=\"{(run.Passed ? "ok\">passed" : "fail\">failed")}</span></h1>");
        Line(html, $"<p>{Encode(run.Test.Description)}</p>");
        Line(html, $"<p class=\"soft\">{run.Started:yyyy-MM-dd HH:mm:ss} UTC · {run.Test.Duration.TotalSeconds:0.#} s after {run.Test.WarmUp.TotalSeconds:0.#} s of warm-up · {Encode(run.Target)}</p>");
        if (run.Server is { } server)
        {
            long requests = Math.Max(1, run.Scenarios.Sum(static stats => stats.Requests));
            Line(html, $"<p class=\"soft\">server: {server.Cpu.TotalMicroseconds / requests:0.0} µs of CPU a request, {server.ResidentBytes / 1048576.0:0} MiB resident</p>");
        }

        foreach (string missed in run.EventsMissed) Line(html, $"<p class=\"fail\">{Encode(missed)}</p>");
        html.Append(LatencyCharts.Distribution(run));
        foreach (ScenarioStats stats in run.Scenarios) Write(html, run, stats);
        Line(html, $"<p class=\"soft\">Latency runs from the time at which a request was due to the last byte of its reply. Generator lag is how late the load generator itself was: where it comes near the latency, the machine was too busy to measure.</p>");
        return html.Append("</body>\n</html>\n").ToString();
    }

    private static void Write(StringBuilder html, RunStats run, ScenarioStats stats)
    {
        Line(html, $"<h2>{Encode(stats.Scenario.Name)}</h2>");
        Line(html, $"<p>{stats.Replies} replies, {stats.Rate:0}/s, {stats.Errors} errors, {stats.ConnectionsOpened} connections opened</p>");
        foreach ((FailureKind kind, long count) in TextReport.Failures(stats)) Line(html, $"<p class=\"fail\">{kind}: {count}</p>");
        html.Append("<table><tr><th></th><th>count</th>");
        foreach (double percentile in Percentiles.Shown) Line(html, $"<th>{Percentiles.Name(percentile)}</th>");
        html.Append("<th>max</th></tr>\n");
        foreach ((string row, LatencyHistogram latency) in LatencyRows.Of(stats))
        {
            html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Encode(row)}</td><td>{latency.Count}</td>");
            foreach (double percentile in Percentiles.Shown) html.Append(CultureInfo.InvariantCulture, $"<td>{LatencyText.Format(latency.Percentile(percentile))}</td>");
            Line(html, $"<td>{LatencyText.Format(latency.Max)}</td></tr>");
        }

        html.Append("</table>\n<table><tr><th>threshold</th><th>is</th><th></th></tr>\n");
        foreach (Threshold threshold in stats.Scenario.Thresholds)
        {
            string verdict = threshold.Holds(stats) ? "ok" : "fail";
            Line(html, $"<tr><td>{Encode(threshold.Text)}</td><td>{TextReport.Actual(threshold, stats)}</td><td class=\"{verdict}\">{verdict}</td></tr>");
        }

        html.Append("</table>\n").Append(LatencyCharts.OverTime(run, stats));
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static void Line(StringBuilder html, FormattableString line) => html.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
