using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>
/// 3. The agent with all registrations restarts, leaves, dies. One of two instances polls this agent; the other polls a
/// server and has no configured gateways, so that all its rows come from that agent.
/// </summary>
public sealed class ConsulAgentFaultTests(ITestOutputHelper output) : FaultTest(output)
{
    [Fact]
    public Task An_agent_that_restarts_leaves_or_dies_changes_no_ring() => BreakAsync(intervalSeconds: 2, TimeSpan.FromSeconds(5));

    /// <summary>With an interval this long, the rows of a restarted agent are critical for seconds before their checks have run.</summary>
    [Fact, Trait("Category", "Slow")]
    public Task An_agent_that_is_dead_for_a_minute_changes_no_ring() => BreakAsync(intervalSeconds: 10, TimeSpan.FromSeconds(60));

    [Fact, Trait("Category", "Slow")]
    public async Task A_development_agent_that_restarts_empty_gets_the_registrations_back()
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulAgentSettings settings = ConsulAgentSettings.Development();
        ConsulAgent consul = await TestPeers.ConsulAsync(settings);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml(consul.Address, addresses, "interval: 2s, timeout: 1s"));
        await SettleAsync(consul, addresses, server);
        await using RedirectLoad load = await RedirectLoad.KeepsOwnersAsync(server);

        consul.Process.Kill();
        await consul.Process.WaitForExitAsync(Limit);
        consul = await TestPeers.ConsulAsync(settings);
        Measured("development agent restarted empty, registered and passing after", await consul.WaitForPassingAsync("pushgateway", addresses, Limit));

        await Task.Delay(TimeSpan.FromSeconds(6));
        await NothingChangedAsync(server);
        Measured("development agent restarted empty", $"0 ring changes, 0 of {await load.StopAsync()} redirects wrong");
    }

    private async Task BreakAsync(int intervalSeconds, TimeSpan absence)
    {
        string health = $"interval: {intervalSeconds}s, timeout: 1s";
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulAgentSettings serverSettings = ConsulAgentSettings.Server(Folder.Path, "server");
        ConsulAgentSettings clientSettings = ConsulAgentSettings.Client(Folder.Path, "client", serverSettings);
        ConsulAgent server = await TestPeers.ConsulAsync(serverSettings);
        ConsulAgent client = await TestPeers.ConsulAsync(clientSettings);
        DynamicShardingProcess near = await TestPeers.DynamicShardingAsync(Yaml(client.Address, addresses, health));
        await client.WaitForPassingAsync("pushgateway", addresses, Limit);

        // Its first ring is Consul's first response, not a configured list.
        DynamicShardingProcess far = await TestPeers.DynamicShardingAsync(Yaml(server.Address, [], health));
        await SettleAsync(server, addresses, near, far);
        long before = await far.ChangesAsync();
        await using RedirectLoad nearLoad = await RedirectLoad.KeepsOwnersAsync(near);
        await using RedirectLoad farLoad = await RedirectLoad.KeepsOwnersAsync(far);

        client.Process.Terminate();
        client = await ReturnAsync("stopped with SIGTERM", TimeSpan.FromSeconds(3));
        client.Process.Kill();
        await client.Process.WaitForExitAsync(Limit);
        client = await TestPeers.ConsulAsync(clientSettings);
        Measured("agent killed and restarted, least gateways that were passing meanwhile", $"{await LeastPassingAsync(server)} of 3");
        await server.WaitForPassingAsync("pushgateway", addresses, Limit);
        client.Process.Kill();
        client = await ReturnAsync($"killed, dead for {absence.TotalSeconds:0} s", absence);

        // Longer than rows may be without a verdict.
        await Task.Delay(TimeSpan.FromSeconds((2 * intervalSeconds) + 2));
        await NothingChangedAsync(near);
        Assert.Equal(before, await far.ChangesAsync());
        Measured("agent faults", $"0 ring changes, 0 of {await nearLoad.StopAsync() + await farLoad.StopAsync()} redirects wrong");

        async Task<ConsulAgent> ReturnAsync(string what, TimeSpan pause)
        {
            await client.Process.WaitForExitAsync(Limit);

            // An instance that only queries passing rows would get an empty ring here.
            Measured($"agent {what}, no gateway passing any more after", await server.WaitForPassingAsync("pushgateway", [], Limit));
            await Task.Delay(pause);
            ConsulAgent back = await TestPeers.ConsulAsync(clientSettings);
            Measured($"agent {what} and started again, all gateways passing after", await server.WaitForPassingAsync("pushgateway", addresses, Limit));
            return back;
        }
    }

    private static async Task<int> LeastPassingAsync(ConsulAgent consul)
    {
        int least = int.MaxValue;
        for (int i = 0; i < 60; i++)
        {
            least = Math.Min(least, (await consul.GetAsync("v1/health/service/pushgateway?passing=1")).GetArrayLength());
            await Task.Delay(TimeSpan.FromMilliseconds(50));
        }

        return least;
    }
}
