using System.Diagnostics;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>2. One of three gateways restarts, dies and returns; one instance uses its own probes, another Consul's checks.</summary>
public sealed class GatewayFaultTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Failures = 5;
    private const string More = "membership: { admit_after: 2s }\n";
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Bound = (Interval * Failures) + Timeout + Settle + TimeSpan.FromSeconds(10); // a busy machine

    [Fact]
    public Task A_restart_changes_nothing_and_a_dead_gateway_is_avoided_in_time_and_rejoins() => LoseAsync(TimeSpan.FromSeconds(1));

    [Fact, Trait("Category", "Slow")]
    public Task A_gateway_that_was_dead_for_three_minutes_rejoins() => LoseAsync(TimeSpan.FromMinutes(3));

    private async Task LoseAsync(TimeSpan absence)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        string[] addresses = Addresses(gateways);
        ConsulAgent consul = await TestPeers.ConsulAsync();
        string health = $"interval: 2s, timeout: 1s, failures_before_critical: {Failures}";
        DynamicShardingProcess byProbes = await TestPeers.DynamicShardingAsync(Yaml(null, addresses, health, More));
        DynamicShardingProcess byConsul = await TestPeers.DynamicShardingAsync(Yaml(consul.Address, addresses, health, More));
        DynamicShardingProcess[] servers = [byProbes, byConsul];
        await SettleAsync(consul, addresses, servers);

        // Interval times (failures - 1) is eight seconds; a gateway restarts faster.
        long start = Stopwatch.GetTimestamp();
        gateways[1].Process.Kill();
        PushgatewayProcess restarted = await TestPeers.PushgatewayAsync(addresses[1]);
        TimeSpan blip = Stopwatch.GetElapsedTime(start);
        Assert.True(blip < Interval * (Failures - 1), $"the restart took {blip.TotalSeconds:0.0} s, too long to show anything");
        await Task.Delay((Interval * Failures) + Timeout);
        await NothingChangedAsync(servers);
        Measured("a gateway's restart took", blip);

        restarted.Process.Kill();
        string[] left = [addresses[0], addresses[2]];
        TimeSpan[] avoided = await Task.WhenAll(servers.Select(server => server.WaitForMembersAsync(left, Limit)));
        Measured("a dead gateway avoided, own probes", avoided[0]);
        Measured("a dead gateway avoided, Consul", avoided[1]);
        Assert.All(avoided, time => Assert.True(time <= Bound, $"avoided after {time.TotalSeconds:0.0} s, allowed are {Bound.TotalSeconds:0} s"));

        await Task.Delay(absence);
        await TestPeers.PushgatewayAsync(addresses[1]);
        TimeSpan[] back = await Task.WhenAll(servers.Select(server => server.WaitForMembersAsync(addresses, Limit)));
        Measured($"back after {absence.TotalSeconds:0} s, member again, own probes", back[0]);
        Measured($"back after {absence.TotalSeconds:0} s, member again, Consul", back[1]);
        foreach (DynamicShardingProcess server in servers) Assert.Equal(2, await server.ChangesAsync());
    }
}
