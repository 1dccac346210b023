using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Edges with forward listeners as gateways: a push ends where it arrives a second time.</summary>
public sealed class LoopTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Loops = "dynamic_sharding_forward_refused_total{reason=\"loop_detected\"}";

    [Fact]
    public async Task An_edge_that_is_its_own_gateway_responds_508_and_forwards_once()
    {
        string forward = FreePort.NextAddress();
        DynamicShardingProcess edge = await StartAsync(forward, forward);

        string reply = await ForwardServer.ExchangeAsync(forward, ForwardServer.Put("/metrics/job/a"));

        Assert.StartsWith("HTTP/1.1 508 Loop Detected\r\n", reply, StringComparison.Ordinal);
        Assert.Equal(1, await edge.MetricAsync(Loops));
        Assert.Equal(1, await ForwardedAsync(edge, forward));
    }

    [Fact]
    public async Task Two_edges_that_name_each_other_respond_508_after_one_round()
    {
        string first = FreePort.NextAddress();
        string second = FreePort.NextAddress();
        DynamicShardingProcess one = await StartAsync(first, second);
        DynamicShardingProcess two = await StartAsync(second, first);

        string reply = await ForwardServer.ExchangeAsync(first, ForwardServer.Put("/metrics/job/a"));

        Assert.StartsWith("HTTP/1.1 508 Loop Detected\r\n", reply, StringComparison.Ordinal);
        Assert.Equal(1, await one.MetricAsync(Loops));
        Assert.Equal(0, await two.MetricAsync(Loops));
        Assert.Equal(1, await ForwardedAsync(one, second));
        Assert.Equal(1, await ForwardedAsync(two, first));
    }

    /// <summary>A chain is not a loop: another edge's field, and one that only resembles ours.</summary>
    [Fact]
    public async Task What_came_through_another_edge_is_forwarded()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer last = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        ForwardServer first = await ForwardServer.StartAsync(TestPeers, [last.Address]);

        string reply = await first.ExchangeAsync(ForwardServer.Put("/metrics/job/a", fields: "Via: 1.1 dynamic-sharding, 1.0 ds-0123456789abcdef\r\n"));

        Assert.Equal(200, ForwardServer.StatusOf(reply));
        Assert.Single(gateway.Requests);
    }

    private static Task<double> ForwardedAsync(DynamicShardingProcess edge, string gateway) =>
        edge.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway}\",code=\"508\"}}");

    private async Task<DynamicShardingProcess> StartAsync(string forward, string gateway)
    {
        string data = FreePort.NextAddress();
        string admin = FreePort.NextAddress();
        string config = ForwardServer.Config(data, admin, forward, [gateway], "  health_check: { enabled: false }", "");
        DynamicShardingProcess edge = await TestPeers.DynamicShardingAsync(config, data, admin);
        await edge.WaitUntilReadyAsync();
        return edge;
    }
}
