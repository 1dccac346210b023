using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Monitoring;

/// <summary>The shipped scrape configuration with a real Consul, real gateways and a real Prometheus.</summary>
public sealed class ScrapeConfigTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    [Fact, Trait("Category", "Slow")]
    public async Task Gateways_that_pass_are_scraped_under_their_own_label_and_others_are_left_out()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        await using LoopbackServer overloaded = new(AnswerOverloadedAsync);
        string[] all = [.. gateways.Select(gateway => gateway.Address).Append(overloaded.Address).Order(StringComparer.Ordinal)];
        ConsulAgent consul = await TestPeers.ConsulAsync();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(ShippedPrometheus.Config(consul, all));
        await server.WaitForLogAsync(Limit, "overloaded", overloaded.Address);
        await consul.WaitForPassingAsync("pushgateway", gateways.Select(gateway => gateway.Address), Limit);
        await server.WaitForMembersAsync(all, Limit); // it is busy, not dead
        PrometheusProcess prometheus = await TestPeers.PrometheusAsync(consul, server);

        await WaitForTargetsAsync(prometheus, [gateways[0].Address, gateways[1].Address]);
        string[] instances = [];
        await Eventually.TrueAsync(
            async () => (instances = [.. (await prometheus.QueryAsync("up{job=\"dynamic-sharding\"}")).Select(up => up["value"])]) is ["1"],
            Limit,
            () => $"the instance scraped, its up is [{string.Join(", ", instances)}]");

        // The pushed job and instance are those of the series, beside the gateway's label.
        string path = "/metrics/job/demo/instance/a";
        while (await server.OwnerOfAsync(path) == overloaded.Address) path += "a";
        await server.PushAsync(path, "pushed_value 7\n");
        IReadOnlyDictionary<string, string>? series = null;
        await Eventually.TrueAsync(
            async () => (series = (await prometheus.QueryAsync("pushed_value")).SingleOrDefault()) is not null, Limit, () => "the pushed series");
        Assert.Equal(("demo", path.Split('/')[^1], await server.OwnerOfAsync(path)), (series!["job"], series["instance"], series["gateway"]));

        // In maintenance, then dead: neither is scraped any more.
        await consul.PutAsync($"v1/agent/service/maintenance/{ConsulAgent.ServiceId(gateways[0].Address)}?enable=true");
        await WaitForTargetsAsync(prometheus, [gateways[1].Address]);
        gateways[1].Process.Kill();
        await WaitForTargetsAsync(prometheus, []);
    }

    private static async Task WaitForTargetsAsync(PrometheusProcess prometheus, string[] addresses)
    {
        string[] found = [];
        await Eventually.TrueAsync(
            async () =>
            {
                IReadOnlyList<IReadOnlyDictionary<string, string>> up = await prometheus.QueryAsync("up{job=\"pushgateway\"}");
                Assert.All(up, target => Assert.Equal(target["instance"], target["gateway"]));
                found = [.. up.Select(target => target["gateway"]).Order(StringComparer.Ordinal)];
                return found.SequenceEqual(addresses);
            },
            Limit,
            () => $"targets [{string.Join(", ", addresses)}], there are [{string.Join(", ", found)}]");
    }

    private static async Task AnswerOverloadedAsync(System.Net.Sockets.Socket socket, CancellationToken ct)
    {
        byte[] buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, ct) > 0)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 19\r\n\r\nwrite queue is full"), ct);
        }
    }
}
