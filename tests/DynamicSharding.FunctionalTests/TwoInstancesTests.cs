using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Instances do not communicate: they agree because the ring depends only on its members.</summary>
public sealed class TwoInstancesTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task Two_instances_give_the_same_owner_for_1000_groups()
    {
        string[] addresses = [.. (await TestPeers.PushgatewaysAsync(3)).Select(gateway => gateway.Address)];
        ConsulAgent consul = await TestPeers.ConsulAsync();

        // The order of the gateways in the file does not affect the ring.
        DynamicShardingProcess one = await TestPeers.DynamicShardingAsync(Config(consul, addresses));
        DynamicShardingProcess other = await TestPeers.DynamicShardingAsync(Config(consul, addresses.Reverse()));
        await consul.WaitForPassingAsync("pushgateway", addresses, TimeSpan.FromSeconds(20));
        foreach (DynamicShardingProcess server in (DynamicShardingProcess[])[one, other])
        {
            await server.WaitUntilReadyAsync();
            await server.WaitForMembersAsync(addresses, TimeSpan.FromSeconds(20));
        }

        string[] groups = [.. Enumerable.Range(0, 1000)
            .Select(i => string.Create(CultureInfo.InvariantCulture, $"/metrics/job/job-{i % 40}/instance/host-{i}/zone/z{i % 3}"))];
        Dictionary<string, string> owners = await one.OwnersOfAsync(groups);
        Assert.Equal(owners, await other.OwnersOfAsync(groups));
        Assert.Equal(addresses, owners.Values.Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(
            (await one.StatusAsync()).GetProperty("fingerprint").GetString(), (await other.StatusAsync()).GetProperty("fingerprint").GetString());
    }

    private static string Config(ConsulAgent consul, IEnumerable<string> servers) => $$"""
        consul_server:
          addr: {{consul.Address}}
        pushgateway:
          servers: ["{{string.Join("\", \"", servers)}}"]
          health_check: { interval: 1s, timeout: 1s }
        """;
}
