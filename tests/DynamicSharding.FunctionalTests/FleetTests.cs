using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>perf/fleet at its smallest: three simulated edges and a real one see a gateway die and return, and start again.</summary>
[Collection(AloneGroup.Name)]
public sealed class FleetTests(ITestOutputHelper output)
{
    [Fact, Trait("Category", "Slow")]
    public async Task A_fleet_of_three_agrees_and_costs_what_real_edges_cost()
    {
        using var folder = new TemporaryFolder();
        string source = Path.Combine(Binary.RepositoryRoot, "perf/fleet"), gateways = Path.Combine(folder.Path, "gateways");
        await RunAsync("cc", "-O2", "-o", gateways, Path.Combine(source, "gateways.c"));
        await RunAsync(
            "python3", Path.Combine(source, "fleet.py"), "--sizes", "3x3", "--servers", "1", "--agents", "2", "--real", "1", "--scenarios", "dies,start", "--rings", "", "--rows", "",
            "--gateways", gateways, "--fleet", Path.Combine(AppContext.BaseDirectory, "DynamicSharding.Fleet.dll"), "--aot", Binary.Path, "--out", folder.Path);

        using JsonDocument results = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder.Path, "results.json")));
        JsonElement scenarios = results.RootElement.GetProperty("sizes").GetProperty("3x3").GetProperty("scenarios");
        Assert.All(scenarios.EnumerateObject(), scenario => Assert.Equal(0, scenario.Value.GetProperty("disagreeing").GetInt32()));

        // One change for one death, of the simulated edges and of the real one, or more where a busy machine fails checks; and none when everything
        // starts on a healthy fleet.
        (int simulated, int real) = Changes(scenarios.GetProperty("dies"));
        Assert.InRange(simulated, 1, 3);
        Assert.InRange(real, 1, 3);
        Assert.Equal((0, 0), Changes(scenarios.GetProperty("start")));
        Assert.True(scenarios.GetProperty("start").GetProperty("simulated").GetProperty("requests").GetDouble() > 0, "the proxies count requests");
    }

    private static (int Simulated, int Real) Changes(JsonElement scenario) =>
        (scenario.GetProperty("simulated").GetProperty("changes_most").GetInt32(), scenario.GetProperty("real").GetProperty("changes_most").GetInt32());

    private async Task RunAsync(string program, params string[] arguments)
    {
        var environment = new Dictionary<string, string> { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        await using ChildProcess run = await ChildProcess.StartAsync(Path.GetFileName(program), program, arguments, environment);
        int code = await run.WaitForExitAsync(TimeSpan.FromMinutes(5));
        output.WriteLine(run.Output);
        Assert.True(code == 0, $"{program} ended with {code}:\n{run.Output}");
    }
}
