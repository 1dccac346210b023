using System.Globalization;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The charts of a run: the latency distribution, and latency over time.</summary>
internal static class LatencyCharts
{
    private const double Nines = 4;
    private const double CurveStep = 0.05;

    private static readonly (double Nines, string Text)[] Ticks =
        [(0, "0 %"), (Math.Log10(2), "50 %"), (1, "90 %"), (2, "99 %"), (3, "99.9 %"), (4, "99.99 %")];

    /// <summary>Each further nine of the percentile has the same width: the usual chart of an HdrHistogram.</summary>
    public static string Distribution(RunStats run)
    {
        var chart = new Chart("Latency by percentile", Nines);
        foreach ((double nines, string text) in Ticks) chart.AddTick(nines, text);
        foreach (ScenarioStats stats in run.Scenarios)
        {
            foreach ((string name, LatencyHistogram latency) in LatencyRows.Of(stats).Where(static row => row.Latency.Count > 0))
            {
                chart.AddSeries(run.Scenarios.Length > 1 ? $"{stats.Scenario.Name}: {name}" : name, Curve(latency));
            }
        }

        return chart.Write();
    }

    public static string OverTime(RunStats run, ScenarioStats stats)
    {
        double seconds = Math.Max(1, stats.Seconds.Length);
        var chart = new Chart(stats.Scenario.Name + ": latency of the requests due in each second", seconds);
        double step = Math.Max(1, Math.Ceiling(seconds / 12));
        for (double second = 0; second <= seconds; second += step)
        {
            chart.AddTick(second, second.ToString("0 s", CultureInfo.InvariantCulture));
        }

        foreach (TimeSpan time in run.EventTimes) chart.AddMark(time.TotalSeconds);
        chart.AddSeries("p50", Line(stats, static latency => latency.Percentile(50)));
        chart.AddSeries("p99", Line(stats, static latency => latency.Percentile(99)));
        chart.AddSeries("max", Line(stats, static latency => latency.Max));
        return chart.Write();
    }

    private static IEnumerable<(double X, double Latency)> Curve(LatencyHistogram latency)
    {
        // Percentiles beyond one request in count are the maximum.
        double end = Math.Min(Nines, Math.Log10(latency.Count));
        for (double nines = 0; nines <= end; nines += CurveStep) yield return (nines, latency.Percentile(100 * (1 - Math.Pow(10, -nines))));
        yield return (end, latency.Percentile(100 * (1 - Math.Pow(10, -end))));
    }

    private static IEnumerable<(double X, double Latency)> Line(ScenarioStats stats, Func<LatencyHistogram, long> value)
    {
        for (int i = 0; i < stats.Seconds.Length; i++)
        {
            if (stats.Seconds[i].Count > 0) yield return (i + 0.5, value(stats.Seconds[i]));
        }
    }
}
