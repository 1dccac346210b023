using System.Collections.Immutable;

namespace DynamicSharding.LoadTests.Model;

/// <summary>One file and one run: scenarios that run at the same time (NBomber's RegisterScenarios).</summary>
/// <param name="Gateways">Gateways of the server under test, if this program starts it.</param>
/// <param name="WarmUp">Load at the first simulation's rate before the run's clock is zero; not recorded.</param>
/// <param name="Events">Events at the server during the run, or null.</param>
internal sealed record LoadTest(
    string Name, string Description, int Gateways, TimeSpan WarmUp, EventPlan? Events, ImmutableArray<Scenario> Scenarios)
{
    public TimeSpan Duration => Scenarios.Max(static scenario => scenario.Duration);

    /// <summary>The same test stretched to a duration, its simulations in proportion.</summary>
    public LoadTest Stretched(TimeSpan duration)
    {
        double factor = duration / Duration;
        return this with { Scenarios = [.. Scenarios.Select(scenario => scenario.Scaled(factor, 1))] };
    }

    /// <summary>The same test with its first scenario's highest rate at the given one, the others in proportion.</summary>
    public LoadTest AtRate(double rate)
    {
        double peak = Scenarios[0].PeakRate;
        return peak == 0 ? this : this with { Scenarios = [.. Scenarios.Select(scenario => scenario.Scaled(1, rate / peak))] };
    }
}
