using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Deadlines do not advance while the server is suspended.</summary>
[Trait("Category", "Slow")]
[Collection(AloneGroup.Name)]
public sealed class SuspensionTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";
    private const string PutBody = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4000\r\n\r\n";

    [Fact]
    public async Task No_deadline_runs_while_the_process_stands_still()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\n"
                + "limits: { header_timeout: 12s, idle_timeout: 12s, linger_timeout: 12s, body_min_rate: 120 }\n");
        await server.WaitUntilReadyAsync();
        using RawHttp idle = await RawHttp.ConnectAsync(server.Address);
        await idle.SendAsync(Put);
        await ExpectRedirectAsync(idle);
        using RawHttp head = await RawHttp.ConnectAsync(server.Address);
        await head.SendAsync(Put[..30]);

        // Enough for 16 s at the minimum rate, but far too little for the pause.
        using RawHttp body = await RawHttp.ConnectAsync(server.Address);
        await body.SendAsync(PutBody + new string('x', 2000));
        await ExpectRedirectAsync(body);
        using RawHttp lingering = await RawHttp.ConnectAsync(server.Address);
        await lingering.SendAsync("nonsense\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", await lingering.ReadReplyAsync(), StringComparison.Ordinal);

        server.Process.Suspend();
        await Task.Delay(TimeSpan.FromSeconds(24));
        server.Process.Resume();

        // Two of the server's deadline checks.
        await Task.Delay(TimeSpan.FromSeconds(2.5));
        Assert.False(server.HasLogged("msg=\"connection closed\"", "timeout"), server.Process.Output);
        Assert.False(server.HasLogged("msg=\"connection closed\"", "reason=idle"), server.Process.Output);
        await idle.SendAsync(Put);
        await ExpectRedirectAsync(idle);
        await head.SendAsync(Put[30..]);
        await ExpectRedirectAsync(head);
        await body.SendAsync(new string('x', 2000) + Put);
        await ExpectRedirectAsync(body);

        // Deadlines still work: the lingering client has its response and stays idle.
        await server.WaitForLogAsync(TimeSpan.FromSeconds(40), "msg=\"connection closed\"", "reason=linger_timeout");
    }

    [Fact]
    public async Task No_deadline_of_the_forward_listener_runs_while_the_process_stands_still()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            var reader = new RequestReader(socket, "");
            while (await reader.ReadAsync(cancellation) is { } request)
            {
                if (request.Target.EndsWith("/waits", StringComparison.Ordinal)) await release.Task.WaitAsync(cancellation);
                await socket.SendAsync(System.Text.Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
            }
        });
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], more: "limits: { header_timeout: 12s, idle_timeout: 12s, body_min_rate: 120 }\nforward: { timeout: 12s }");
        string push = ForwardServer.Put("/metrics/job/a");
        string small = ForwardServer.Put("/metrics/job/small", new string('x', 4000));
        string large = ForwardServer.Put("/metrics/job/large", new string('x', 100_000));
        using RawHttp idle = await RawHttp.ConnectAsync(server.Address);
        await idle.SendAsync(push);
        await ExpectOkAsync(idle);
        using RawHttp head = await RawHttp.ConnectAsync(server.Address);
        await head.SendAsync(push[..30]);
        using RawHttp body = await RawHttp.ConnectAsync(server.Address);
        await body.SendAsync(small[..2000]);
        using RawHttp streamed = await RawHttp.ConnectAsync(server.Address);
        await streamed.SendAsync(large[..90_000]);
        using RawHttp waiting = await RawHttp.ConnectAsync(server.Address);
        await waiting.SendAsync(ForwardServer.Put("/metrics/job/waits"));
        await server.WaitForInFlightAsync(gateway.Address, 2);

        server.Process.Process.Suspend();
        await Task.Delay(TimeSpan.FromSeconds(26));
        server.Process.Process.Resume();

        // Two ticks of any clock.
        await Task.Delay(TimeSpan.FromSeconds(2.5));
        await idle.SendAsync(push);
        await ExpectOkAsync(idle);
        await head.SendAsync(push[30..]);
        await ExpectOkAsync(head);
        await body.SendAsync(small[2000..]);
        await ExpectOkAsync(body);
        await streamed.SendAsync(large[90_000..]);
        await ExpectOkAsync(streamed);
        release.SetResult();
        await ExpectOkAsync(waiting);

        // Deadlines still work.
        await head.SendAsync(push[..30]);
        Assert.StartsWith("HTTP/1.1 408 ", await head.ReadReplyAsync(limit: TimeSpan.FromSeconds(40)), StringComparison.Ordinal);
    }

    private static async Task ExpectOkAsync(RawHttp connection) =>
        Assert.StartsWith("HTTP/1.1 200 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);

    private static async Task ExpectRedirectAsync(RawHttp connection) =>
        Assert.StartsWith("HTTP/1.1 307 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
}
