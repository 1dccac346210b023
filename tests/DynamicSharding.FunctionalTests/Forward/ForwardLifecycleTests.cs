using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Start, reload and stop of the forward listener, and the process without it.</summary>
public sealed class ForwardLifecycleTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task A_taken_port_is_exit_code_1_and_named()
    {
        await using var taken = new RecordingGateway();
        using var folder = new TemporaryFolder();
        string config = ForwardServer.Config(FreePort.NextAddress(), FreePort.NextAddress(), taken.Address, ["127.0.0.1:9091"], "", "");

        (int exitCode, string text) = await DynamicShardingProcess.RunAsync("--config.file", folder.Write("c.yml", config));

        Assert.Equal(1, exitCode);
        Assert.Contains($"forward listener: cannot listen on {taken.Address} (forward_listen_addr): the address is already in use", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reload_changes_its_limits_for_the_next_push()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp kept = await RawHttp.ConnectAsync(server.Address);
        string push = ForwardServer.Put("/metrics/job/a", new string('x', 2000));
        await kept.SendAsync(push);
        Assert.Equal(200, ForwardServer.StatusOf(await kept.ReadReplyAsync()));

        await server.ReloadAsync("forward: { max_body_bytes: 1KiB, x_forwarded_for: true }\nlimits: { request_line: 300 }");

        await kept.SendAsync(ForwardServer.Put("/metrics/job/a"));
        Assert.Equal(200, ForwardServer.StatusOf(await kept.ReadReplyAsync()));
        Assert.Equal("127.0.0.1", gateway.Requests[^1].Field("X-Forwarded-For"));
        await kept.SendAsync(push);
        Assert.Equal(413, ForwardServer.StatusOf(await kept.ReadReplyAsync()));
        string longer = ForwardServer.Put("/metrics/job/" + new string('a', 300));
        Assert.Equal(414, ForwardServer.StatusOf(await server.ExchangeAsync(longer)));
        Assert.Equal(2, gateway.Requests.Length);
    }

    [Fact]
    public async Task A_reload_changes_how_long_and_how_many_may_wait_for_a_gateway()
    {
        const string Stop = "shutdown: { drain_delay: 0s, timeout: 1s }\n";
        await using var silent = LoopbackServer.Silent();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [silent.Address], more: Stop + "forward: { timeout: 30s }");
        string push = ForwardServer.Put("/metrics/job/a");

        // Two pushes wait, and keep the first values.
        using RawHttp first = await RawHttp.ConnectAsync(server.Address);
        using RawHttp second = await RawHttp.ConnectAsync(server.Address);
        await first.SendAsync(push);
        await second.SendAsync(push);
        await server.WaitForInFlightAsync(silent.Address, 2);

        await server.ReloadAsync(Stop + "forward: { timeout: 700ms }");
        string late = await server.ExchangeAsync(push);
        await server.ReloadAsync(Stop + "forward: { max_in_flight: 2 }");
        string refused = await server.ExchangeAsync(push);

        Assert.Equal(504, ForwardServer.StatusOf(late));
        Assert.Contains("sent no response within 700ms (forward.timeout)", late, StringComparison.Ordinal);
        Assert.Equal(503, ForwardServer.StatusOf(refused));
        Assert.Contains("has 2 pushes in flight", refused, StringComparison.Ordinal);
        Assert.Equal("", await first.ReadExcessAsync(TimeSpan.FromMilliseconds(100)));
        await server.WaitForInFlightAsync(silent.Address, 2);
    }

    [Fact]
    public async Task A_reload_changes_how_many_connections_there_may_be()
    {
        // One is this test's own, on the redirect listener: the limit is for all listeners together.
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { max_connections: 3 }");
        string push = ForwardServer.Put("/metrics/job/a");
        using RawHttp first = await RawHttp.ConnectAsync(server.Address);
        using RawHttp second = await RawHttp.ConnectAsync(server.Address);
        foreach (RawHttp connection in (RawHttp[])[first, second])
        {
            await connection.SendAsync(push);
            Assert.Equal(200, ForwardServer.StatusOf(await connection.ReadReplyAsync()));
        }

        using RawHttp third = await RawHttp.ConnectAsync(server.Address);
        Assert.Equal(503, ForwardServer.StatusOf(await third.ReadToCloseAsync()));

        await server.ReloadAsync("limits: { max_connections: 5 }");

        using RawHttp fourth = await RawHttp.ConnectAsync(server.Address);
        await fourth.SendAsync(push);
        Assert.Equal(200, ForwardServer.StatusOf(await fourth.ReadReplyAsync()));
        await first.SendAsync(push);
        Assert.Equal(200, ForwardServer.StatusOf(await first.ReadReplyAsync()));
    }

    [Fact]
    public async Task A_stop_answers_everything_with_a_close_then_waits_for_what_is_in_flight()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = new RecordingGateway(beforeResponse: (request, cancellation) =>
            request.Target == "/metrics/job/slow" ? release.Task.WaitAsync(cancellation) : Task.CompletedTask);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "shutdown: { drain_delay: 8s, timeout: 20s }");
        using RawHttp slow = await RawHttp.ConnectAsync(server.Address);
        using RawHttp idle = await RawHttp.ConnectAsync(server.Address);
        await idle.SendAsync(ForwardServer.Put("/metrics/job/a"));
        Assert.DoesNotContain("Connection:", await idle.ReadReplyAsync(), StringComparison.Ordinal);
        await slow.SendAsync(ForwardServer.Put("/metrics/job/slow"));

        server.Process.Process.Terminate();
        await Eventually.TrueAsync(
            async () => ForwardServer.StatusOf(await server.ExchangeAsync("GET /-/ready HTTP/1.1\r\nHost: edge.test\r\n\r\n")) == 503,
            TimeSpan.FromSeconds(20),
            () => "still ready");
        foreach (string request in (string[])[ForwardServer.Put("/metrics/job/a"), "GET /test/v1 HTTP/1.1\r\nHost: edge.test\r\n\r\n"])
        {
            string reply = await server.ExchangeAsync(request);
            Assert.Equal(200, ForwardServer.StatusOf(reply));
            Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
        }

        await Eventually.TrueAsync(() => Task.FromResult(RefusesConnections(server.Address)), TimeSpan.FromSeconds(30), () => "still accepting");
        Assert.Equal("", await idle.ReadToCloseAsync());
        Assert.False(server.Process.Process.HasExited);
        release.SetResult();
        string last = await slow.ReadReplyAsync();
        Assert.Equal(200, ForwardServer.StatusOf(last));
        Assert.Contains("\r\nConnection: close\r\n", last, StringComparison.Ordinal);
        Assert.Equal(0, await server.Process.Process.WaitForExitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task A_stop_cuts_off_what_is_in_flight_after_its_timeout()
    {
        await using var silent = LoopbackServer.Silent();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [silent.Address], more: "shutdown: { drain_delay: 0s, timeout: 1s }");
        using RawHttp waiting = await RawHttp.ConnectAsync(server.Address);
        await waiting.SendAsync(ForwardServer.Put("/metrics/job/a"));
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(30), "msg=ready");

        long start = Stopwatch.GetTimestamp();
        server.Process.Process.Terminate();

        Assert.Equal(0, await server.Process.Process.WaitForExitAsync(TimeSpan.FromSeconds(15)));
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(10));
    }

    /// <summary>Its sessions run on the event loops; two threads more are the pool's.</summary>
    [Fact]
    public async Task It_needs_no_thread_of_its_own()
    {
        await using var gateway = new RecordingGateway();
        DynamicShardingProcess off = await TestPeers.DynamicShardingAsync($"pushgateway:\n  servers: [\"{gateway.Address}\"]\n");
        await off.WaitUntilReadyAsync();
        ForwardServer on = await ForwardServer.StartAsync(TestPeers, [gateway.Address], pushgateway: "");
        await on.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.DoesNotContain("forward", await off.MetricsAsync(), StringComparison.Ordinal);
        Assert.Contains("forward", await on.MetricsAsync(), StringComparison.Ordinal);
        // A pool that was short of time has more for a while: they end after 20 s without work.
        await Eventually.TrueAsync(
            () => Task.FromResult(Threads(on.Process) <= Threads(off) + 2), TimeSpan.FromSeconds(60), () => $"{Threads(on.Process)} threads, {Threads(off)} without it");
        Output.WriteLine($"off: {off.Memory().Now:0.0} MiB, {Threads(off)} threads; on, after one push: {on.Process.Memory().Now:0.0} MiB, {Threads(on.Process)} threads");

        static int Threads(DynamicShardingProcess process) => Directory.GetDirectories($"/proc/{process.Process.Pid}/task").Length;
    }

    private static bool RefusesConnections(string address)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPEndPoint.Parse(address));
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
