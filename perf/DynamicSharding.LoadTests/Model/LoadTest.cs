using System.Collections.Immutable;

namespace DynamicSharding.LoadTests.Model;

/// <summary>What one file describes and one run does: scenarios that run beside one another (NBomber's RegisterScenarios).</summary>
/// <param name="Gateways">How many gateways the server under test is given, when this program starts it.</param>
/// <param name="WarmUp">Load at the first simulation's rate before the clock of the run is zero; nothing of it is recorded.</param>
/// <param name="Events">What happens to the server meanwhile, or null.</param>
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
