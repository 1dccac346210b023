using System.Net;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>
/// A gateway with a full write queue stays a member. When it dies, only the output of Consul's check changes, which an agent publishes
/// up to five minutes later.
/// </summary>
public sealed class OverloadTests(ITestOutputHelper output) : FaultTest(output)
{
    [Fact, Trait("Category", "Slow")]
    public async Task An_overloaded_gateway_stays_until_it_dies_and_a_reload_may_let_it_go()
    {
        string[] good = Addresses(await TestPeers.PushgatewaysAsync(2));
        await using LoopbackServer full = Overloaded(), other = Overloaded();
        string[] addresses = [.. good.Append(full.Address).Append(other.Address).Order(StringComparer.Ordinal)];
        ConsulAgent consul = await TestPeers.ConsulAsync();
        string Config(string more) => Yaml(consul.Address, addresses, "interval: 1s, timeout: 1s, failures_before_critical: 5" + more, "membership: { admit_after: 1s }\n");
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(""));
        await server.WaitForLogAsync(Limit, "overloaded", full.Address);
        await server.WaitForLogAsync(Limit, "overloaded", other.Address);
        await server.WaitForMembersAsync(addresses, Limit);
        await NothingChangedAsync(server);

        await full.DisposeAsync();
        string[] left = [.. addresses.Where(address => address != full.Address)];
        Measured("overloaded and then dead, Consul, avoided after", await server.WaitForMembersAsync(left, Limit));

        server.WriteConfig(Config(", overload_is_healthy: false"));
        Assert.Equal((HttpStatusCode.OK, "OK\n"), await server.ReloadAsync());
        Measured("overload_is_healthy switched off, applied after", await server.WaitForMembersAsync(good, TimeSpan.FromSeconds(10)));
        server.WriteConfig(Config(", enabled: false"));
        await server.ReloadAsync();
        Measured("health_check.enabled switched off, applied after", await server.WaitForMembersAsync(addresses, TimeSpan.FromSeconds(10)));
    }

    private static LoopbackServer Overloaded() => new(async (socket, ct) =>
    {
        byte[] buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, ct) > 0)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 19\r\n\r\nwrite queue is full"), ct);
        }
    });
}
