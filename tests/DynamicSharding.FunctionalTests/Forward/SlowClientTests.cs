using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Clients that stall, stop sending or are idle: their responses, and what a real gateway stores of their pushes.</summary>
public sealed class SlowClientTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>Lines of 16 bytes: each block of the client library ends with a complete line, and the gateway would store it.</summary>
    private static readonly string Lines =
        string.Concat(Enumerable.Range(0, 0x2000).Select(i => string.Create(CultureInfo.InvariantCulture, $"v{i:D12} 1\n")));

    [Theory, Trait("Smoke", "true")]
    [InlineData("Content-Length: 262144\r\n\r\n")]
    [InlineData("Content-Length: 131080\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n20000\r\n")]
    public async Task A_long_push_that_stalls_is_its_clients_fault_and_not_on_the_gateway(string framing)
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { timeout: 3s }");
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);

        await connection.SendAsync($"PUT /metrics/job/stalled HTTP/1.1\r\nHost: edge.test\r\n{framing}{Lines}");
        string reply = await connection.ReadReplyAsync();

        Assert.Equal(408, ForwardServer.StatusOf(reply));
        Assert.Contains("forward.timeout", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"body_timeout\"}"));
        await server.WaitForInFlightAsync(gateway.Address, 0);
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/whole"))));
        Assert.Equal(["job=whole"], await gateway.GroupsAsync());
    }

    /// <summary>Checked after five seconds, as on the data listener.</summary>
    [Theory, Trait("Category", "Slow")]
    [InlineData(1000)]
    [InlineData(100_000)]
    public async Task Content_below_the_minimum_rate_is_refused_and_counted(int length)
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { body_min_rate: 1000 }");
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);

        await connection.SendAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: {length}\r\n\r\nv 1\n");

        // The rate is looked at once a second; a busy machine takes longer.
        string reply = await connection.ReadReplyAsync(limit: TimeSpan.FromSeconds(40));

        Assert.Equal(408, ForwardServer.StatusOf(reply));
        Assert.Contains("limits.body_min_rate", reply, StringComparison.Ordinal);
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"body_timeout\"}"));
        Assert.Empty(await gateway.GroupsAsync());
    }

    [Theory]
    [InlineData(4)]
    [InlineData(40_000)]
    [InlineData(100_000)]
    public async Task A_client_that_closes_its_half_after_a_whole_push_loses_nothing(int length)
    {
        const int Pushes = 200;
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        string content = "v 1\n" + (length > 4 ? "# " + new string('x', length - 7) + "\n" : "");
        var waiting = new List<RawHttp>();
        for (int i = 0; i < Pushes; i++)
        {
            string head = string.Create(CultureInfo.InvariantCulture, $"PUT /metrics/job/j{i:D3} HTTP/1.1\r\nHost: edge.test\r\n");
            RawHttp connection = await RawHttp.ConnectAsync(server.Address);
            await connection.SendAsync(i % 2 == 0
                ? $"{head}Content-Length: {content.Length}\r\n\r\n{content}"
                : $"{head}Transfer-Encoding: chunked\r\n\r\n{content.Length:x}\r\n{content}\r\n0\r\n\r\n");
            connection.CloseSending();
            if (i % 4 < 2) waiting.Add(connection);
            else connection.Dispose();
        }

        string[] expected = [.. Enumerable.Range(0, Pushes).Select(i => string.Create(CultureInfo.InvariantCulture, $"job=j{i:D3}"))];
        string[] there = [];
        await Eventually.TrueAsync(
            async () =>
            {
                there = [.. (await gateway.GroupsAsync()).Order(StringComparer.Ordinal)];
                return there.SequenceEqual(expected);
            },
            TimeSpan.FromSeconds(20),
            () => $"missing: {string.Join(", ", expected.Except(there))}");
        foreach (RawHttp connection in waiting) connection.Dispose();
    }

    /// <summary>Within a head the shorter idle timeout does not apply, also after a request that was complete.</summary>
    [Theory, Trait("Category", "Slow")]
    [InlineData("header_timeout: 1s")]
    [InlineData("header_timeout: 5s, idle_timeout: 1s")]
    public async Task A_head_that_does_not_come_is_refused_in_time(string limits)
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: $"limits: {{ {limits} }}");
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        await connection.SendAsync(ForwardServer.Put("/metrics/job/a"));
        Assert.Equal(200, ForwardServer.StatusOf(await connection.ReadReplyAsync()));

        await connection.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: ed");

        string reply = await connection.ReadToCloseAsync();
        Assert.Equal(408, ForwardServer.StatusOf(reply));
        Assert.Contains("limits.header_timeout", reply, StringComparison.Ordinal);
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"header_timeout\"}"));
    }

    [Fact, Trait("Category", "Slow")]
    public async Task An_idle_connection_is_closed_and_one_that_waits_for_its_gateway_is_not()
    {
        await using var gateway = new RecordingGateway(
            closes: true, beforeResponse: (_, cancellation) => Task.Delay(TimeSpan.FromSeconds(3), cancellation));

        // The longer timeout is for heads, of which there is none.
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { idle_timeout: 1s, header_timeout: 1m }");
        using RawHttp idle = await RawHttp.ConnectAsync(server.Address);
        using RawHttp waiting = await RawHttp.ConnectAsync(server.Address);
        await waiting.SendAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.Equal("", await idle.ReadToCloseAsync());
        Assert.Equal(200, ForwardServer.StatusOf(await waiting.ReadReplyAsync()));
        Assert.Equal("", await waiting.ReadToCloseAsync());
    }
}
