using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Without a forward listener, the startup log mentions it once.</summary>
public sealed class ForwardHintTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Gateways = "pushgateway:\n  servers: [127.0.0.1]\n  health_check: { enabled: false }\n";

    [Fact]
    public async Task Without_a_forward_listener_the_start_names_the_clients_that_lose_pushes_silently_and_a_reload_does_not()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Gateways);
        await server.WaitForLogAsync(
            TimeSpan.FromSeconds(20), "level=info", "forward_listen_addr", "Node prom-client", "C++ prometheus-cpp", "curl without -L");

        await server.ReloadAsync();

        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "configuration reloaded");
        Assert.Single(server.Process.Output.Split('\n'), line => line.Contains("forward_listen_addr", StringComparison.Ordinal));
    }

    [Fact]
    public async Task With_a_forward_listener_there_is_nothing_to_say()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($"forward_listen_addr: {FreePort.NextAddress()}\n{Gateways}");

        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "msg=ready");

        Assert.False(server.HasLogged("forward_listen_addr"));
    }
}
