using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

public sealed class ConsulAbsentTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    [Fact]
    public async Task Without_Consul_at_start_its_own_probes_judge_the_configured_list_then_Consul_does()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        string[] alive = [.. gateways.Select(gateway => gateway.Address)];
        string dead = FreePort.NextAddress();
        string consulAddress = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            consul_server:
              addr: {{consulAddress}}
            pushgateway:
              servers: ["{{alive[0]}}", "{{alive[1]}}", "{{dead}}"]
              health_check: { interval: 1s, timeout: 1s }
            membership:
              admit_after: 1s
            """);

        // Serves at once, and drops the dead gateway by itself.
        Assert.Contains(await server.OwnerOfAsync("/metrics/job/a"), alive.Append(dead));
        TimeSpan judged = await server.WaitForMembersAsync(alive, Limit);

        // Consul's first response has no verdict on it, so the change must be complete by then.
        judged += await server.WaitForRingAsync(alive, Limit);
        Output.WriteLine($"own probes let the dead gateway go after {judged.TotalSeconds:0.0} s");

        ConsulAgent consul = await TestPeers.ConsulAsync(consulAddress);
        TimeSpan registered = await consul.WaitForPassingAsync("pushgateway", alive, Limit);
        Output.WriteLine($"registered and passing {registered.TotalSeconds:0.0} s after Consul's start");
        Assert.Equal(alive, await server.MembersAsync());

        // Only Consul knows of the maintenance: the gateway's own responses stay good.
        await consul.PutAsync($"v1/agent/service/maintenance/{ConsulAgent.ServiceId(alive[0])}?enable=true&reason=test");
        await server.WaitForMembersAsync([alive[1]], Limit);
        await consul.PutAsync($"v1/agent/service/maintenance/{ConsulAgent.ServiceId(alive[0])}?enable=false");
        await server.WaitForMembersAsync(alive, Limit);

        // A healthy instance with a foreign registration is a member as well.
        PushgatewayProcess third = await TestPeers.PushgatewayAsync();
        string[] parts = third.Address.Split(':');
        await consul.PutAsync("v1/agent/service/register", $$"""
            {
              "ID": "registered-by-hand", "Name": "pushgateway", "Address": "{{parts[0]}}", "Port": {{parts[1]}},
              "Check": { "HTTP": "http://{{third.Address}}/-/healthy", "Interval": "1s", "Timeout": "1s" }
            }
            """);
        await server.WaitForMembersAsync(alive.Append(third.Address), Limit);
    }
}
