using System.Globalization;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The latency rows of one scenario: all requests, each kind if there are several, near events and apart from them.</summary>
internal static class LatencyRows
{
    public static IEnumerable<(string Name, LatencyHistogram Latency)> Of(ScenarioStats stats)
    {
        yield return ("all", stats.Latency);
        if (stats.ByKind.Length > 1)
        {
            for (int i = 0; i < stats.ByKind.Length; i++) yield return (stats.Scenario.Requests[i].Name, stats.ByKind[i]);
        }

        if (stats.Disturbed.Count + stats.Undisturbed.Count > 0)
        {
            yield return ("undisturbed", stats.Undisturbed);
            yield return ("disturbed", stats.Disturbed);
        }

        yield return ("generator lag", stats.GeneratorLag);
    }
}

/// <summary>Formats nanoseconds with three digits and a fitting unit.</summary>
internal static class LatencyText
{
    public static string Format(double nanoseconds) => nanoseconds switch
    {
        0 => "0",
        < 1e6 => Digits(nanoseconds / 1e3) + " µs",
        < 1e9 => Digits(nanoseconds / 1e6) + " ms",
        _ => Digits(nanoseconds / 1e9) + " s",
    };

    private static string Digits(double value) =>
        value.ToString(value < 9.995 ? "0.00" : value < 99.95 ? "0.0" : "0", CultureInfo.InvariantCulture);
}

/// <summary>The percentiles that every report shows.</summary>
internal static class Percentiles
{
    public static readonly double[] Shown = [50, 90, 99, 99.9];

    public static string Name(double percentile) => "p" + percentile.ToString(CultureInfo.InvariantCulture);
}
