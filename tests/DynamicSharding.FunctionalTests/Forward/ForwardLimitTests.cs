using System.Globalization;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Limits of a push: one above the limit leaves nothing on the gateway.</summary>
public sealed class ForwardLimitTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Limit = "forward: { max_body_bytes: 200KiB }";

    [Fact]
    public async Task Content_that_is_announced_as_too_long_is_refused_at_once()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: Limit);

        string reply = await server.ExchangeAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 204801\r\n\r\nv 1\n");

        Assert.Equal(413, ForwardServer.StatusOf(reply));
        Assert.Empty(gateway.Requests);
        Assert.Equal(0, gateway.Connections);
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"body_too_large\"}"));
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a", new string('x', 204800)))));
    }

    /// <summary>Lines of 16 bytes, so that a truncated push often ends with a complete line: this Pushgateway stores such a part.</summary>
    [Theory, Trait("Smoke", "true")]
    [InlineData(1024)]
    [InlineData(4096)]
    [InlineData(30_000)]
    public async Task Chunks_that_become_too_long_are_cut_off_and_the_gateway_takes_none_of_them(int chunkLines)
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: Limit);
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        await connection.SendAsync("PUT /metrics/job/long HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        int line = 0;
        for (int sent = 0; sent < 300 * 1024;)
        {
            var chunk = new StringBuilder();
            for (int i = 0; i < chunkLines; i++) chunk.Append(CultureInfo.InvariantCulture, $"v{line++:D12} 1\n");
            sent += chunk.Length;
            await connection.SendAsync($"{chunk.Length:x}\r\n{chunk}\r\n");
        }

        await connection.SendAsync("0\r\n\r\n");
        string reply = await connection.ReadReplyAsync();

        Assert.Equal(413, ForwardServer.StatusOf(reply));
        Assert.Contains("forward.max_body_bytes", reply, StringComparison.Ordinal);
        Assert.DoesNotContain(await gateway.GroupsAsync(), group => group.Contains("long", StringComparison.Ordinal));
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/short"))));
        Assert.Equal(["job=short"], await gateway.GroupsAsync());
    }

    [Fact]
    public async Task A_push_that_its_client_breaks_off_is_not_on_the_gateway()
    {
        string lines = string.Concat(Enumerable.Range(0, 0x2000).Select(i => string.Create(CultureInfo.InvariantCulture, $"v{i:D12} 1\n")));
        string[] rests =
        [
            "Content-Length: 1000\r\n\r\nv 1\n",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\nnonsense\r\n",
            "Content-Length: 100000\r\n\r\nv 1\n",
            "Content-Length: 10000000\r\n\r\nv 1\n",
            "Content-Length: 131080\r\n\r\n" + lines,
            "Content-Length: 100000\r\n\r\n",
            $"Transfer-Encoding: chunked\r\n\r\n20000\r\n{lines}\r\n",
            $"Transfer-Encoding: chunked\r\n\r\n20000\r\n{lines}\r\nnonsense\r\n",
        ];
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        for (int i = 0; i < rests.Length; i++)
        {
            using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
            await connection.SendAsync($"PUT /metrics/job/broken{i} HTTP/1.1\r\nHost: edge.test\r\n{rests[i]}");
            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }

        await server.WaitForInFlightAsync(gateway.Address, 0);
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/whole"))));
        Assert.Equal(["job=whole"], await gateway.GroupsAsync());
    }

    [Fact]
    public async Task A_gateway_that_answers_nobody_fills_its_own_places_and_no_others()
    {
        await using var silent = LoopbackServer.Silent();
        await using var good = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [silent.Address, good.Address], more: "forward: { max_in_flight: 3, timeout: 20s }");
        string[] slow = await server.PathsOfAsync(silent.Address, 4);
        string[] quick = await server.PathsOfAsync(good.Address, 4);
        RawHttp[] waiting = await Task.WhenAll(slow[..3].Select(_ => RawHttp.ConnectAsync(server.Address)));
        try
        {
            for (int i = 0; i < 3; i++) await waiting[i].SendAsync(ForwardServer.Put(slow[i]));
            await server.WaitForInFlightAsync(silent.Address, 3);

            string refused = await server.ExchangeAsync(ForwardServer.Put(slow[3]));

            Assert.Equal(503, ForwardServer.StatusOf(refused));
            Assert.Contains("\r\nRetry-After: 1\r\n", refused, StringComparison.Ordinal);
            Assert.Contains(silent.Address, refused, StringComparison.Ordinal);
            foreach (string path in quick) Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put(path))));
            Assert.Equal(1, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"too_many_in_flight\"}"));
        }
        finally
        {
            foreach (RawHttp connection in waiting) connection.Dispose();
        }
    }
}
