using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>6. All gateways die at once and return; one instance uses its own probes, another Consul's checks.</summary>
public sealed class MassLossTests(ITestOutputHelper output) : FaultTest(output)
{
    [Fact]
    public Task All_gateways_die_and_the_ring_is_never_empty() => LoseAllAsync(TimeSpan.FromSeconds(10));

    [Fact, Trait("Category", "Slow")]
    public Task All_gateways_are_dead_for_a_minute() => LoseAllAsync(TimeSpan.FromSeconds(60));

    private async Task LoseAllAsync(TimeSpan absence)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(4);
        string[] addresses = Addresses(gateways);
        ConsulAgent consul = await TestPeers.ConsulAsync();
        const string Health = "interval: 1s, timeout: 1s";
        const string More = "membership: { mass_loss_hold: 12s, admit_after: 2s }\n";
        DynamicShardingProcess byProbes = await TestPeers.DynamicShardingAsync(Yaml(null, addresses, Health, More));
        DynamicShardingProcess byConsul = await TestPeers.DynamicShardingAsync(Yaml(consul.Address, addresses, Health, More));
        DynamicShardingProcess[] servers = [byProbes, byConsul];
        await SettleAsync(consul, addresses, servers);
        HashSet<string> all = [.. addresses];
        await using RedirectLoad probesLoad = RedirectLoad.Among(byProbes, all, connections: 1);
        await using RedirectLoad consulLoad = RedirectLoad.Among(byConsul, all, connections: 1);

        foreach (PushgatewayProcess gateway in gateways) gateway.Process.Kill();

        // Noticed after at most three seconds; the hold is still running.
        await Task.Delay(TimeSpan.FromSeconds(7));
        var before = new Dictionary<DynamicShardingProcess, long>();
        foreach (DynamicShardingProcess server in servers)
        {
            before[server] = await server.ChangesAsync();
            Measured("ring changes before the hold has passed", $"{before[server]}");
            Assert.InRange(before[server], 0, 1);
        }

        // The hold passes. The first that returns does not become the whole ring: the others are held once more.
        await Task.Delay(absence);
        foreach (string address in addresses)
        {
            await TestPeers.PushgatewayAsync(address);
            await Task.Delay(TimeSpan.FromSeconds(1));
        }

        TimeSpan[] back = await Task.WhenAll(servers.Select(server => server.WaitForMembersAsync(addresses, Limit)));
        Measured("all members again, own probes, after", back[0]);
        Measured("all members again, Consul, after", back[1]);

        foreach (DynamicShardingProcess server in servers)
        {
            // Those that were noticed before the others have left the ring, two of four at most in one change, and join it again.
            long changes = await server.ChangesAsync() - before[server];
            Measured("ring changes while they return", $"{changes}");
            Assert.InRange(changes, 0, 2 * before[server]);
        }

        // Every response named a gateway, so there always was a ring.
        long sent = await probesLoad.StopAsync() + await consulLoad.StopAsync();
        Measured("all gateways dead", $"0 of {sent} requests without a redirect");
    }
}
