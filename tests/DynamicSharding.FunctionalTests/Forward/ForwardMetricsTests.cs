using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>The forward listener's metrics, compared with what the sockets saw.</summary>
public sealed class ForwardMetricsTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Duration = "dynamic_sharding_forward_duration_seconds";

    [Fact]
    public async Task Bytes_are_those_of_the_connections_to_the_gateways()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        int[] lengths = [4, 5000, 64 * 1024, 200_000];

        foreach (int length in lengths)
            Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a", new string('x', length)))));

        Assert.Equal(
            gateway.Requests.Sum(request => request.Head.Length + request.Content.Length),
            await server.MetricAsync("dynamic_sharding_forward_bytes_total{direction=\"sent\"}"));
        Assert.Equal(
            lengths.Length * RecordingGateway.Ok.Length, await server.MetricAsync("dynamic_sharding_forward_bytes_total{direction=\"received\"}"));
    }

    [Fact]
    public async Task Durations_are_those_of_whole_forwards()
    {
        await using var gateway = new RecordingGateway(beforeResponse: (request, cancellation) =>
            request.Target == "/metrics/job/slow" ? Task.Delay(TimeSpan.FromMilliseconds(2100), cancellation) : Task.CompletedTask);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { max_body_bytes: 1KiB }");

        int quick = 0;
        for (int i = 0; i < 3; i++)
        {
            long start = Stopwatch.GetTimestamp();
            await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));
            if (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(2)) quick++;
        }

        await server.ExchangeAsync(ForwardServer.Put("/metrics/job/slow"));

        // Neither of these is a forward.
        await server.ExchangeAsync("GET /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n");
        Assert.Equal(413, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a", new string('x', 2000)))));

        // A forward is observed just after its response.
        await Eventually.TrueAsync(async () => await server.MetricAsync($"{Duration}_count") == 4, TimeSpan.FromSeconds(10), () => "not four");
        Assert.InRange(await server.MetricAsync($"{Duration}_bucket{{le=\"2.048\"}}"), quick, 3);
        Assert.Equal(4, await server.MetricAsync($"{Duration}_bucket{{le=\"+Inf\"}}"));
        // A timer may be early by a fraction of a millisecond.
        Assert.InRange(await server.MetricAsync($"{Duration}_sum"), 2.048, 30);
    }

    [Fact]
    public async Task Broken_content_is_counted_and_reaches_no_gateway()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp malformed = await RawHttp.ConnectAsync(server.Address);
        await malformed.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\nnonsense\r\n");
        string reply = await malformed.ReadReplyAsync();
        using RawHttp early = await RawHttp.ConnectAsync(server.Address);
        await early.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 1000\r\n\r\nv 1\n");
        early.CloseSending();

        Assert.Equal(400, ForwardServer.StatusOf(reply));
        await Eventually.TrueAsync(
            async () => await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"broken_body\"}") == 2,
            TimeSpan.FromSeconds(10),
            () => "not two");
        Assert.Empty(gateway.Requests);
    }

    [Fact]
    public async Task A_client_that_is_gone_before_its_answer_is_counted_as_such()
    {
        await using var gateway = LoopbackServer.Silent();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using (RawHttp gone = await RawHttp.ConnectAsync(server.Address))
        {
            await gone.SendAsync(ForwardServer.Put("/metrics/job/a"));
            await server.WaitForInFlightAsync(gateway.Address, 1);
            gone.Reset();
        }

        await server.WaitForInFlightAsync(gateway.Address, 0);

        string requests = string.Create(CultureInfo.InvariantCulture, $"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=");
        Assert.Equal(1, await server.MetricAsync(requests + "\"aborted\"}"));
        Assert.DoesNotContain(requests + "\"200\"}", await server.MetricsAsync(), StringComparison.Ordinal);
    }
}
