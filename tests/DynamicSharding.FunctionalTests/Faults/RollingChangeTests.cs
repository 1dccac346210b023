using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>
/// The configurations of several instances change one by one, while each keeps its own gateways registered. However long
/// that takes, each changes its ring once. See docs/decisions/0010-rolling-changes.md.
/// </summary>
public sealed class RollingChangeTests(ITestOutputHelper output) : FaultTest(output)
{
    private const string Health = "interval: 1s, timeout: 1s, failures_before_critical: 5";
    private const string Membership = "membership: { settle: 1s, admit_after: 1s }\n";

    /// <summary>Longer than one instance needs to restore a registration and another to admit it.</summary>
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(6);

    [Theory, InlineData(2)]
    public Task A_rolling_scale_in_is_one_change_on_each(int instances) => ChangeAsync(instances, before: 3, after: 2);

    [Theory, InlineData(2)]
    public Task A_rolling_scale_out_is_one_change_on_each(int instances) => ChangeAsync(instances, before: 2, after: 3);

    [Theory, InlineData(3), Trait("Category", "Slow")]
    public Task A_rolling_scale_in_of_more_is_one_change_on_each(int instances) => ChangeAsync(instances, before: 4, after: 3);

    [Theory, InlineData(3), Trait("Category", "Slow")]
    public Task A_rolling_scale_out_of_more_is_one_change_on_each(int instances) => ChangeAsync(instances, before: 3, after: 4);

    [Theory, InlineData(4, 3), InlineData(3, 4), Trait("Category", "Slow")]
    public async Task A_rolling_change_of_instances_with_an_agent_each_is_one_change_on_each(int before, int after)
    {
        ConsulAgentSettings server = ConsulAgentSettings.Server(Folder.Path, "server");
        ConsulAgent[] agents =
        [
            await TestPeers.ConsulAsync(server),
            await TestPeers.ConsulAsync(ConsulAgentSettings.Client(Folder.Path, "client-1", server)),
            await TestPeers.ConsulAsync(ConsulAgentSettings.Client(Folder.Path, "client-2", server)),
        ];
        await ChangeAsync(agents, before, after);
    }

    private async Task ChangeAsync(int instances, int before, int after)
    {
        ConsulAgent consul = await TestPeers.ConsulAsync();
        await ChangeAsync([.. Enumerable.Repeat(consul, instances)], before, after);
    }

    private async Task ChangeAsync(ConsulAgent[] agents, int before, int after)
    {
        string[] all = Addresses(await TestPeers.PushgatewaysAsync(Math.Max(before, after)));
        ConsulAgent consul = agents[0];
        int instances = agents.Length;
        DynamicShardingProcess[] servers = new DynamicShardingProcess[instances];
        for (int i = 0; i < instances; i++) servers[i] = await TestPeers.DynamicShardingAsync(Yaml(agents[i].Address, all[..before], Health, Membership));
        await SettleAsync(consul, all[..before], servers);
        await NothingChangedAsync(servers);

        for (int i = 0; i < instances; i++)
        {
            servers[i].WriteConfig(Yaml(agents[i].Address, all[..after], Health, Membership));
            Assert.Equal((HttpStatusCode.OK, "OK\n"), await servers[i].ReloadAsync());
            await servers[i].WaitForRingAsync(all[..after], Limit);

            // The next instance still names what this one deregistered, and restores it.
            string[] registered = i < instances - 1 ? all : all[..after];
            await consul.WaitForPassingAsync("pushgateway", registered, Limit);
            await Task.Delay(Between);
        }

        foreach (DynamicShardingProcess server in servers)
        {
            await server.WaitForRingAsync(all[..after], Limit);
            Assert.Equal(1, await server.ChangesAsync());
        }
    }
}
