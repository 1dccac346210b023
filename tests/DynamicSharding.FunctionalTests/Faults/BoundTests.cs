using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>Discovery and configuration must not take memory without end, or keep a process from stopping.</summary>
[Collection(AloneGroup.Name)]
public sealed class BoundTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Rounds = 17;
    private const int PerRound = 3000;
    private const double MaxMiB = 300;

    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(20);

    /// <summary>51,000 addresses in all, of which those that left last are remembered.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task Addresses_that_are_gone_are_forgotten()
    {
        await using FakeConsul consul = new(Many(0, PerRound));
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            Yaml(consul.Address, [], "interval: 2s, timeout: 1s", "sharding: { replicas: 10 }\nmembership: { settle: 50ms, admit_after: 100ms, mass_loss_hold: 0s }\n"),
            logLevel: "warn");
        double early = 0;
        for (int round = 0; round < Rounds; round++)
        {
            consul.Answer(FakeConsul.Manner.Good, Many(round * PerRound, PerRound));
            await server.WaitForMembersAsync(Many(round * PerRound, PerRound), Limit);
            if (round == 2) early = server.Memory().Now;
        }

        (double now, double peak) = server.Memory();
        Measured(
            string.Create(CultureInfo.InvariantCulture, $"{Rounds * PerRound} addresses that came and went"),
            string.Create(CultureInfo.InvariantCulture, $"{early:0} MiB after {3 * PerRound}, {now:0} at the end, {peak:0} at most"));
        Assert.InRange(peak, 1, MaxMiB);
        Assert.InRange(now, 1, early + 60);
    }

    /// <summary>At startup, and at moments after it: while the points are hashed, while they are sorted, and at the end.</summary>
    [Theory, Trait("Category", "Slow")]
    [InlineData(0)]
    [InlineData(200)]
    [InlineData(600)]
    public async Task A_stop_while_the_largest_ring_is_built_for_the_first_time_is_clean(int milliseconds)
    {
        string yaml = $"http_listen_addr: {FreePort.NextAddress()}\nadmin_listen_addr: {FreePort.NextAddress()}\n{Largest(100)}";
        await using ChildProcess process = await ChildProcess.StartAsync(
            "dynamic-sharding",
            Binary.Path,
            ["--config.file", Folder.Write("large.yml", yaml)],
            new Dictionary<string, string> { ["DOTNET_ROOT"] = Binary.DotnetRoot });
        await Eventually.TrueAsync(
            () => Task.FromResult(process.Output.Contains("starting dynamic-sharding", StringComparison.Ordinal)), Limit, () => process.Output);
        await Task.Delay(milliseconds);

        process.Terminate();

        Assert.Equal(0, await process.WaitForExitAsync(StopLimit));
    }

    [Fact, Trait("Category", "Slow")]
    public async Task A_stop_while_a_reload_builds_the_largest_ring_is_clean()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Largest(99));
        await server.WaitUntilReadyAsync();
        server.WriteConfig(Largest(100));
        server.Process.Hangup();
        await Task.Delay(200);

        server.Process.Terminate();

        Assert.Equal(0, await server.Process.WaitForExitAsync(StopLimit));
    }

    /// <summary>100 gateways have the most points that a configuration may ask for. Without health checks nothing is sent to them.</summary>
    private static string Largest(int gateways) => $$"""
        pushgateway:
          servers: [{{string.Join(", ", Many(0, gateways).Select(static address => $"\"{address}\""))}}]
          health_check: { enabled: false }
        shutdown: { drain_delay: 0s }
        sharding: { replicas: 100000 }

        """;

    private static string[] Many(int first, int count) =>
    [
        .. Enumerable.Range(first, count)
            .Select(static i => string.Create(CultureInfo.InvariantCulture, $"10.{i / 62500}.{i / 250 % 250}.{(i % 250) + 1}:9091"))
            .Order(StringComparer.Ordinal),
    ];
}
