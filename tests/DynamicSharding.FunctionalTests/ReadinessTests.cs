using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Responses that depend on the state of the ring, and other forms of the Location.</summary>
public sealed class ReadinessTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Unavailable =
        "HTTP/1.1 503 Service Unavailable\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{reason}";

    [Theory]
    [InlineData("PUT /metrics/job/a")]
    [InlineData("GET /metrics/job/a")]
    [InlineData("GET /-/ready")]
    public async Task Without_any_gateway_the_answer_is_503_with_a_reason(string line)
    {
        // No configured servers and no Consul: there is nothing to build a ring from.
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($"consul_server:\n  addr: {FreePort.NextAddress()}\n");

        foreach (Delivery delivery in (Delivery[])[Delivery.Whole, Delivery.ByteByByte])
        {
            using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
            await connection.SendAsync($"{line} HTTP/1.1\r\nHost: edge.test\r\n\r\n", delivery);
            RawResponse.ShouldBe(Unavailable, await connection.ReadReplyAsync());
        }
    }

    [Fact]
    public async Task Ready_waits_for_a_first_verdict_but_not_longer_than_5_seconds()
    {
        // Accepts and never responds: the probe has no result until its timeout.
        using Socket mute = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        mute.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        mute.Listen(16);
        long start = Stopwatch.GetTimestamp();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            pushgateway:
              servers: ["{{mute.LocalEndPoint}}"]
              health_check: { interval: 60s, timeout: 30s }
            """);

        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        await connection.SendAsync("GET /-/ready HTTP/1.1\r\nHost: edge.test\r\n\r\n");
        string first = await connection.ReadReplyAsync();
        if (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(4.5)) RawResponse.ShouldBe(Unavailable, first);
        Assert.Equal(mute.LocalEndPoint!.ToString(), await server.OwnerOfAsync("/metrics/job/a"));

        await server.WaitUntilReadyAsync();
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        Output.WriteLine($"ready after {elapsed.TotalSeconds:0.0} s");
        Assert.InRange(elapsed, TimeSpan.FromSeconds(4.5), TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task Scheme_and_path_prefix_come_before_the_path_of_the_Location()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync("""
            pushgateway:
              servers: [127.0.0.1:9091]
              scheme: https
              path_prefix: /pgw
              health_check: { enabled: false }
            """);
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);

        await connection.SendAsync("PUT /metrics/job/a?x HTTP/1.1\r\nHost: edge.test\r\n\r\n");

        RawResponse.ShouldBe(
            "HTTP/1.1 307 Temporary Redirect\r\nDate: {date}\r\nContent-Length: 0\r\nLocation: https://127.0.0.1:9091/pgw/metrics/job/a?x\r\n\r\n",
            await connection.ReadReplyAsync());
    }
}
