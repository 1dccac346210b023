using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>5. Access control: tokens without rights, and deleted tokens.</summary>
public sealed class ConsulAclTests(ITestOutputHelper output) : FaultTest(output)
{
    private const string Rules = "service \"pushgateway\" { policy = \"write\" }\nnode_prefix \"\" { policy = \"read\" }";

    [Fact]
    public async Task A_deleted_token_changes_no_ring_and_the_log_says_what_to_do_until_a_new_one_is_there()
    {
        (ConsulAgent consul, DynamicShardingProcess server, string[] addresses, string accessor) = await StartAsync();
        await using RedirectLoad load = await RedirectLoad.KeepsOwnersAsync(server);

        await consul.DeleteAsync("v1/acl/token/" + accessor);

        // Consul completes the pending poll normally and rejects the next one. This write ends the pending poll.
        await consul.PutAsync("v1/agent/service/register", """{"ID":"noise","Name":"pushgateway","Address":"127.0.0.1","Port":1,"Check":{"TTL":"10m"}}""");
        Measured("a deleted token noticed by the poll after", await server.WaitForLogAsync(Limit, Advice));
        Assert.True(server.HasLogged("trouble=forbidden", "ACL not found"));
        await Task.Delay(TimeSpan.FromSeconds(4));
        await NothingChangedAsync(server);
        double stale = (await server.StatusAsync()).GetProperty("discovery").GetProperty("seconds_since_good_answer").GetDouble();
        Assert.InRange(stale, 3, Limit.TotalSeconds);

        (_, string secret) = await consul.CreateTokenAsync(Rules);
        Folder.Write("token", secret);
        Measured("a new token in the file used after", await server.WaitForLogAsync(Limit, "Consul responds"));
        await server.WaitForMembersAsync(addresses, Limit);
        await NothingChangedAsync(server);
        Measured("a deleted token", $"0 ring changes, 0 of {await load.StopAsync()} redirects wrong");
    }

    [Fact]
    public async Task Without_rights_the_configured_ring_is_kept_and_the_log_says_which_are_missing()
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulAgent consul = await TestPeers.ConsulAsync(ConsulAgentSettings.Development() with { MasterToken = Guid.NewGuid().ToString() });
        (_, string secret) = await consul.CreateTokenAsync(rules: null);
        Folder.Write("token", secret);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(consul, addresses));
        await server.WaitForLogAsync(Limit, "registration failed", "Permission denied", "node_prefix");
        await server.WaitForMembersAsync(addresses, Limit);
        await Task.Delay(TimeSpan.FromSeconds(4));
        await NothingChangedAsync(server);
        Measured("a token without rights", "0 ring changes");
    }

    /// <summary>Nothing ends the poll before its wait.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task A_deleted_token_is_noticed_within_the_wait_of_the_poll_that_is_under_way()
    {
        (ConsulAgent consul, DynamicShardingProcess server, _, string accessor) = await StartAsync();

        // The registrations are done, and a poll is pending.
        await Task.Delay(TimeSpan.FromSeconds(8));
        await consul.DeleteAsync("v1/acl/token/" + accessor);
        Task<TimeSpan> byRegistration = server.WaitForLogAsync(2 * Limit, "registration failed", "ACL not found", "node_prefix");
        TimeSpan byPoll = await server.WaitForLogAsync(2 * Limit, Advice);
        Measured("a deleted token noticed by the poll, quiet service, after", byPoll);
        Measured("a deleted token noticed by the registration, quiet service, after", await byRegistration);
        Assert.True(byPoll < TimeSpan.FromSeconds(75), $"noticed after {byPoll.TotalSeconds:0} s");
        await NothingChangedAsync(server);
    }

    private static string[] Advice => ["keeping the ring", "trouble=forbidden", "consul_server.token", "service", "pushgateway", "write", "node_prefix", "read"];

    private async Task<(ConsulAgent Consul, DynamicShardingProcess Server, string[] Addresses, string Accessor)> StartAsync()
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulAgent consul = await TestPeers.ConsulAsync(ConsulAgentSettings.Development() with { MasterToken = Guid.NewGuid().ToString() });
        (string accessor, string secret) = await consul.CreateTokenAsync(Rules);
        Folder.Write("token", secret);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(consul, addresses));
        await SettleAsync(consul, addresses, server);
        return (consul, server, addresses, accessor);
    }

    private string Config(ConsulAgent consul, string[] addresses) =>
        $"consul_server: {{ addr: \"{consul.Address}\", token_file: \"{Path.Combine(Folder.Path, "token")}\" }}\n"
        + Yaml(null, addresses, "interval: 1s, timeout: 1s, failures_before_critical: 5");

}
