using System.Text.Json;
using System.Xml.Linq;
using DynamicSharding.LoadTests.Model;
using DynamicSharding.LoadTests.Reports;

namespace DynamicSharding.Tests.LoadTests;

public sealed class ReportTests
{
    private const string Hostile = "</title><script>alert(\"x\")</script>&";

    [Fact]
    public void Merged_histograms_hold_what_their_parts_held()
    {
        LatencyHistogram low = LatencyHistogram.Precise();
        LatencyHistogram high = LatencyHistogram.Precise();
        for (int i = 1; i <= 99; i++) low.Record(i * 1_000_000L);
        high.Record(TimeSpan.FromHours(1).Ticks * 100);

        low.Add(high);

        Assert.Equal(100, low.Count);
        Assert.InRange(low.Percentile(50), 50_000_000, 50_100_000);
        Assert.InRange(low.Percentile(99), 99_000_000, 99_200_000);
        // What is longer than the histogram is kept at its end, not lost.
        Assert.InRange(low.Max, 120_000_000_000, 121_000_000_000);
    }

    [Theory]
    [InlineData("p50 < 6ms", true)]
    [InlineData("p50 < 4ms", false)]
    [InlineData("max >= 10ms", true)]
    [InlineData("mean <= 5ms", false)]
    [InlineData("errors == 1", true)]
    [InlineData("error_ratio < 0.5", true)]
    [InlineData("rate > 2", true)]
    [InlineData("disturbed.p99 > 9ms", true)]
    [InlineData("disturbance.p50 <= 1.5", false)]
    public void A_threshold_holds_or_not(string text, bool holds)
    {
        Assert.Null(Threshold.Parse(text, out Threshold? threshold));

        Assert.Equal(holds, threshold!.Holds(Stats()));
    }

    [Fact]
    public void The_page_is_sound_and_holds_no_markup_of_a_scenario()
    {
        string page = HtmlReport.Write(Run());

        Assert.DoesNotContain("<script", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("http", page, StringComparison.OrdinalIgnoreCase);
        foreach (string picture in page.Split("<svg").Skip(1)) XDocument.Parse("<svg" + picture[..(picture.IndexOf("</svg>", StringComparison.Ordinal) + 6)]);
    }

    [Fact]
    public void The_document_says_what_the_text_says()
    {
        RunStats run = Run();
        using JsonDocument document = JsonDocument.Parse(JsonReport.Write(run));
        JsonElement scenario = document.RootElement.GetProperty("scenarios")[0];

        Assert.False(document.RootElement.GetProperty("passed").GetBoolean());
        Assert.Equal(1, scenario.GetProperty("failures").GetProperty("wrong_status").GetInt64());
        Assert.Equal(10, scenario.GetProperty("latency").GetProperty("all").GetProperty("count").GetInt64());
        Assert.Contains("FAIL p50 < 1ms (is 5.00 ms)", TextReport.Write(run), StringComparison.Ordinal);
    }

    private static RunStats Run()
    {
        LoadTest test = new(Hostile, Hostile, 2, TimeSpan.Zero, null, [Stats().Scenario]);
        return new RunStats(test, DateTimeOffset.UnixEpoch, Hostile, new ServerUsage(TimeSpan.FromSeconds(1), 1 << 20), [], [], [Stats()]);
    }

    /// <summary>Ten replies of 1 to 10 ms, the slower half near an event, and an error.</summary>
    private static ScenarioStats Stats()
    {
        LatencyHistogram[] parts = [LatencyHistogram.Precise(), LatencyHistogram.Precise(), LatencyHistogram.Precise()];
        for (int i = 1; i <= 10; i++)
        {
            parts[0].Record(i * 1_000_000);
            parts[i > 5 ? 1 : 2].Record(i * 1_000_000);
        }

        _ = Threshold.Parse("p50 < 1ms", out Threshold? threshold);
        RequestKind kind = new(Hostile, 1, "PUT", "/", 0, 0, null, 307);
        Scenario scenario = new(
            Hostile, 1, 1, false, null, 1, TimeSpan.FromSeconds(1), [new LoadSimulation.Inject(5, TimeSpan.FromSeconds(2))], [kind, kind], [threshold!]);
        long[] failures = new long[Enum.GetValues<FailureKind>().Length];
        failures[(int)FailureKind.WrongStatus] = 1;
        return new ScenarioStats(
            scenario, 10, [.. failures], parts[0], [parts[0], parts[1]], parts[2], parts[1], parts[2], [parts[0], parts[1]], 1, TimeSpan.FromSeconds(2));
    }
}
