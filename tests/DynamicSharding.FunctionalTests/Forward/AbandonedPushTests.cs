using System.Diagnostics;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Forward.JobGateway;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>When a push is sent again, and when its client counts as gone: an abandoned push must not arrive after a newer one.</summary>
public sealed class AbandonedPushTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>How long to wait for something that must not happen.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1.5);

    private static readonly string[] AllFramings = ["PUT", "POST", "DELETE", "PUT chunked", "POST chunked"];

    public static TheoryData<string> Framings => [.. AllFramings];

    public static TheoryData<string, string> Endings => WithAllFramings("fin", "reset", "half-close");

    public static TheoryData<string, string> TakenPushes => WithAllFramings(ClosesLate, HalfAHead);

    [Theory, MemberData(nameof(Framings))]
    public async Task A_push_on_a_fresh_connection_is_sent_once(string framing)
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        string reply = await server.ExchangeAsync(Push(framing, ClosesSoon));

        Assert.Equal(502, ForwardServer.StatusOf(reply));
        Assert.Equal([ClosesSoon], gateway.Jobs);
        Assert.Equal(0, await ReplaysAsync(server, gateway));
    }

    [Theory, MemberData(nameof(Framings))]
    public async Task A_push_on_a_kept_connection_that_ends_at_once_is_sent_again_while_its_client_waits(string framing)
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp client = await WarmAsync(server);

        long start = Stopwatch.GetTimestamp();
        await client.SendAsync(Push(framing, ClosesSoon));
        string reply = await client.ReadReplyAsync();

        // Once, on a fresh connection. After a second, on a machine that stalls, the gateway may have stored it, and it is not.
        Assert.Equal(502, ForwardServer.StatusOf(reply));
        if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(1)) return;
        Assert.Equal(["warm", ClosesSoon, ClosesSoon], gateway.Jobs);
        Assert.Equal(1, await ReplaysAsync(server, gateway));
    }

    /// <summary>A gateway that had the push for longer may have taken it, and one that has begun to respond has.</summary>
    [Theory, MemberData(nameof(TakenPushes))]
    public async Task A_push_that_the_gateway_may_have_taken_is_not_sent_again(string framing, string job)
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp client = await WarmAsync(server);

        await client.SendAsync(Push(framing, job));
        string reply = await client.ReadReplyAsync();

        Assert.Equal(502, ForwardServer.StatusOf(reply));
        Assert.Equal(["warm", job], gateway.Jobs);
        Assert.Equal(0, await ReplaysAsync(server, gateway));
    }

    /// <summary>The connection was kept and ends at once: only the closed client forbids a retry.</summary>
    [Theory, MemberData(nameof(Endings))]
    public async Task A_push_whose_client_has_closed_never_comes_after_its_newer_one(string framing, string ending)
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp abandoned = await WarmAsync(server);
        await abandoned.SendAsync(Push(framing, ClosesWhenTold));
        await gateway.WaitForAsync(ClosesWhenTold);
        End(abandoned, ending);

        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push(framing, "newer"))));
        gateway.Release();
        await Task.Delay(Quiet);

        Assert.Equal(["warm", ClosesWhenTold, "newer"], gateway.Jobs);
        Assert.Equal(0, await ReplaysAsync(server, gateway));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(400_000)]
    public async Task A_reset_closes_the_gateways_connection_and_frees_the_place(int pipelined)
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { max_in_flight: 1, timeout: 10m }");
        RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push("PUT", Waits));
        await server.WaitForInFlightAsync(gateway.Address, 1);
        await gateway.WaitForAsync(Waits);

        // Unread requests behind the push fill every buffer, so that no read meets the reset.
        if (pipelined > 0) await client.SendAsync(ForwardServer.Put("/metrics/job/b", new string('x', pipelined)));
        client.Reset();

        await server.WaitForInFlightAsync(gateway.Address, 0);
        await Eventually.TrueAsync(() => Task.FromResult(gateway.Ended == 1), TimeSpan.FromSeconds(20), () => "the gateway's connection stays");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push("PUT", "newer"))));
        Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"aborted\"}}"));
    }

    /// <summary>
    /// The client reads nothing of an endless response, and its unread requests fill the buffers on the way in, so that no read meets its
    /// reset: only the next write can.
    /// </summary>
    [Fact]
    public async Task A_write_that_fails_closes_the_gateways_connection_and_frees_the_place_at_once()
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { max_in_flight: 1, timeout: 10m }");
        RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push("PUT", Endless) + ForwardServer.Put("/metrics/job/b", new string('x', 400_000)));
        await gateway.WaitForAsync(Endless);
        await server.WaitForInFlightAsync(gateway.Address, 1);
        await Task.Delay(Quiet);
        Assert.Equal(503, ForwardServer.StatusOf(await server.ExchangeAsync(Push("PUT", "other"))));
        Assert.Equal(0, gateway.Ended);

        client.Reset();

        TimeSpan took = await Eventually.TrueAsync(
            () => Task.FromResult(gateway.Ended == 1), TimeSpan.FromSeconds(20), () => "the gateway's connection stays");
        await server.WaitForInFlightAsync(gateway.Address, 0);
        Output.WriteLine($"the gateway's connection ended {took.TotalMilliseconds:0} ms after the reset");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push("PUT", "newer"))));
        Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"aborted\"}}"));
    }

    [Theory, MemberData(nameof(Framings))]
    public async Task A_half_closed_client_keeps_its_place_and_gets_its_response(string framing)
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { max_in_flight: 1, timeout: 10m }");
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push(framing, Waits));
        client.CloseSending();
        await gateway.WaitForAsync(Waits);
        await Task.Delay(Quiet);
        Assert.Equal(503, ForwardServer.StatusOf(await server.ExchangeAsync(Push("PUT", "other"))));

        gateway.Release();

        Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        Assert.Equal("", await client.ReadToCloseAsync());
        await server.WaitForInFlightAsync(gateway.Address, 0);
        Assert.Equal([Waits], gateway.Jobs);
    }

    [Fact]
    public async Task A_half_closed_client_gives_its_place_back_after_the_timeout()
    {
        await using var gateway = new JobGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { timeout: 2s }");
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push("PUT", Waits));
        client.CloseSending();

        Assert.Equal(504, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        await server.WaitForInFlightAsync(gateway.Address, 0);
        await gateway.WaitForAsync(Waits);
        Assert.Equal([Waits], gateway.Jobs);
    }

    private static void End(RawHttp client, string ending)
    {
        if (ending == "reset") client.Reset();
        else if (ending == "fin") client.Dispose();
        else client.CloseSending();
    }

    private static string Push(string framing, string job)
    {
        string head = $"{framing.Split(' ')[0]} /metrics/job/{job} HTTP/1.1\r\nHost: edge.test\r\n";
        if (framing == "DELETE") return head + "\r\n";
        return framing.EndsWith("chunked", StringComparison.Ordinal)
            ? head + "Transfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\n0\r\n\r\n"
            : head + "Content-Length: 4\r\n\r\nv 1\n";
    }

    /// <summary>Kept connections belong to an event loop: the client is on the one that has a kept connection now.</summary>
    private static async Task<RawHttp> WarmAsync(ForwardServer server)
    {
        RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push("PUT", "warm"));
        Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        return client;
    }

    private static Task<double> ReplaysAsync(ForwardServer server, JobGateway gateway) =>
        server.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{gateway.Address}\"}}");

    private static TheoryData<string, string> WithAllFramings(params string[] others)
    {
        var all = new TheoryData<string, string>();
        foreach (string framing in AllFramings)
        {
            foreach (string other in others) all.Add(framing, other);
        }

        return all;
    }
}
