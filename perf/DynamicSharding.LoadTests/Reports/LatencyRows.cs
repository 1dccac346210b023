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
