using System.Text.Json;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The report for programs. Latencies are microseconds.</summary>
internal static class JsonReport
{
    public static byte[] Write(RunStats run)
    {
        var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("name", run.Test.Name);
            json.WriteString("description", run.Test.Description);
            json.WriteString("started", run.Started);
            json.WriteString("target", run.Target);
            json.WriteNumber("duration_seconds", run.Test.Duration.TotalSeconds);
            json.WriteBoolean("passed", run.Passed);
            if (run.Server is { } server)
            {
                json.WriteNumber("server_cpu_seconds", server.Cpu.TotalSeconds);
                json.WriteNumber("server_resident_bytes", server.ResidentBytes);
            }

            json.WriteStartArray("event_seconds");
            foreach (TimeSpan time in run.EventTimes) json.WriteNumberValue(time.TotalSeconds);
            json.WriteEndArray();
            json.WriteStartArray("events_missed");
            foreach (string missed in run.EventsMissed) json.WriteStringValue(missed);
            json.WriteEndArray();
            json.WriteStartArray("scenarios");
            foreach (ScenarioStats stats in run.Scenarios) Write(json, stats);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void Write(Utf8JsonWriter json, ScenarioStats stats)
    {
        json.WriteStartObject();
        json.WriteString("name", stats.Scenario.Name);
        json.WriteNumber("connections", stats.Scenario.Connections);
        json.WriteNumber("connections_opened", stats.ConnectionsOpened);
        json.WriteNumber("replies", stats.Replies);
        json.WriteNumber("rate", Math.Round(stats.Rate, 1));
        json.WriteNumber("errors", stats.Errors);
        json.WriteStartObject("failures");
        foreach ((FailureKind kind, long count) in RunSummary.Failures(stats))
        {
            json.WriteNumber(JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString()), count);
        }

        json.WriteEndObject();
        json.WriteStartObject("latency");
        foreach ((string name, LatencyHistogram latency) in LatencyRows.Of(stats))
        {
            json.WritePropertyName(name);
            Write(json, latency);
        }

        json.WriteEndObject();
        json.WriteStartArray("seconds");
        foreach (LatencyHistogram second in stats.Seconds) Write(json, second);
        json.WriteEndArray();
        json.WriteStartArray("thresholds");
        foreach (Threshold threshold in stats.Scenario.Thresholds)
        {
            json.WriteStartObject();
            json.WriteString("threshold", threshold.Text);
            json.WriteNumber("actual", threshold.IsLatency ? Microseconds(threshold.Actual(stats)) : threshold.Actual(stats));
            json.WriteBoolean("passed", threshold.Holds(stats));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, LatencyHistogram latency)
    {
        json.WriteStartObject();
        json.WriteNumber("count", latency.Count);
        json.WriteNumber("mean", Microseconds(latency.Mean));
        foreach (double percentile in Percentiles.Shown)
        {
            json.WriteNumber(Percentiles.Name(percentile), Microseconds(latency.Percentile(percentile)));
        }

        json.WriteNumber("max", Microseconds(latency.Max));
        json.WriteEndObject();
    }

    private static double Microseconds(double nanoseconds) => Math.Round(nanoseconds / 1000, 1);
}
