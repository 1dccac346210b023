using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>1. A start never reshards, even though a new registration is critical until its first check.</summary>
public sealed class StartTests(ITestOutputHelper output) : FaultTest(output)
{
    [Fact]
    public async Task Three_instances_that_start_one_after_the_other_change_no_ring()
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulAgent consul = await TestPeers.ConsulAsync();
        List<DynamicShardingProcess> servers = [];
        List<RedirectLoad> loads = [];
        for (int i = 0; i < 3; i++)
        {
            DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml(consul.Address, addresses, "interval: 1s, timeout: 1s, failures_before_critical: 5"));
            servers.Add(server);
            loads.Add(await RedirectLoad.KeepsOwnersAsync(server));
        }

        await SettleAsync(consul, addresses, [.. servers]);

        // Longer than a gateway may be without a verdict: two intervals and one timeout.
        await Task.Delay(TimeSpan.FromSeconds(4));
        await NothingChangedAsync([.. servers]);
        string[] rings = [.. (await Task.WhenAll(servers.Select(server => server.FingerprintAsync()))).Distinct()];
        Assert.Single(rings);
        long sent = 0;
        foreach (RedirectLoad load in loads) sent += await load.StopAsync();
        Measured("start of 3 instances one after the other", $"0 ring changes, 0 of {sent} redirects wrong, one fingerprint");
    }
}
