using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

/// <summary>A graceful stop: no request is dropped, and no client delays it beyond the timeout.</summary>
public sealed class StopTests
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n";

    [Fact]
    public async Task While_draining_every_answer_closes_and_a_reload_does_not_change_that()
    {
        await using RunningServer server = new();
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Put);
        Assert.False((await client.ReadAsync())!.Closes);

        server.Server.Drain();
        server.Server.Apply(new LimitOptions());
        await client.SendAsync(Put);
        ResponseText last = (await client.ReadAsync())!;
        Assert.Equal((307, true), (last.Status, last.Closes));

        using TestClient fresh = await server.ConnectAsync();
        await fresh.SendAsync(Put);
        Assert.True((await fresh.ReadAsync())!.Closes);
    }

    /// <summary>A reload's context from before the stop must not reach a loop after the stop's.</summary>
    [Fact]
    public async Task However_reloads_and_the_stop_meet_every_response_after_both_closes()
    {
        for (int round = 0; round < 20; round++)
        {
            await using RunningServer server = new();
            // More threads than cores: most are preempted in the middle of a reload when the stop begins, and end after it.
            bool stops = false;
            using Barrier together = new(17);
            Thread[] reloads = [.. Enumerable.Range(0, 16).Select(_ => new Thread(() =>
            {
                together.SignalAndWait();
                while (!Volatile.Read(ref stops)) server.Server.Apply(new LimitOptions());
            }))];
            foreach (Thread reload in reloads) reload.Start();
            together.SignalAndWait();
            await Task.Delay(10);
            Volatile.Write(ref stops, true);
            server.Server.Drain();
            foreach (Thread reload in reloads) reload.Join();

            // On any loop.
            for (int i = 0; i < 8; i++)
            {
                using TestClient client = await server.ConnectAsync();
                await client.SendAsync(Put);
                Assert.True((await client.ReadAsync())!.Closes, $"round {round}");
            }
        }
    }

    [Fact]
    public async Task A_reload_that_ends_after_everything_else_writes_to_no_descriptor_of_others()
    {
        // The kernel assigns the lowest free descriptors: these get the numbers of the loops.
        RunningServer server = new();
        await server.DisposeAsync();
        Socket[] others = [.. Enumerable.Range(0, 64).Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))];
        try
        {
            foreach (Socket other in others)
            {
                other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                other.Connect(other.LocalEndPoint!);
            }

            server.Server.Apply(new LimitOptions());
            server.Server.Drain();
            Assert.All(others, other => Assert.False(other.Poll(0, SelectMode.SelectRead)));
        }
        finally
        {
            foreach (Socket other in others) other.Dispose();
        }
    }

    [Fact]
    public async Task Idle_connections_end_at_once_and_those_with_half_a_request_get_their_answer()
    {
        await using RunningServer server = new(clockRuns: false);
        using TestClient idle = await server.ConnectAsync();
        await idle.SendAsync(Put);
        Assert.Equal(307, (await idle.ReadAsync())!.Status);
        using TestClient half = await server.ConnectAsync();
        await half.SendAsync(Put[..20]);
        using TestClient body = await server.ConnectAsync();
        await body.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
        Assert.Equal(307, (await body.ReadAsync())!.Status);
        using TestClient fresh = await server.ConnectAsync();
        await RunningServer.UntilAsync(() => server.Counters.Accepted == 4);

        server.Server.Drain();
        Task stopping = server.StopAsync(TimeSpan.FromSeconds(10));
        Assert.Equal("", await idle.ReadToEndAsync());
        await half.SendAsync(Put[20..]);
        ResponseText late = (await half.ReadAsync())!;
        Assert.Equal((307, true), (late.Status, late.Closes));
        half.Dispose();
        await fresh.SendAsync(Put);
        Assert.True((await fresh.ReadAsync())!.Closes);
        fresh.Dispose();
        await body.SendAsync("cde");
        Assert.Equal("", await body.ReadToEndAsync());
        await stopping;
        Assert.Equal(0, server.Counters.Closed(CloseReason.Aborted));
    }

    [Fact]
    public async Task Clients_that_have_their_answer_and_do_not_close_do_not_hold_up_the_stop()
    {
        await using RunningServer server = new(new LimitOptions { LingerTimeout = TimeSpan.FromMinutes(1) });
        using TestClient before = await server.ConnectAsync();
        await before.SendAsync("nonsense\r\n");
        Assert.Equal(400, (await before.ReadAsync())!.Status);
        using TestClient after = await server.ConnectAsync();
        await after.SendAsync(Put[..20]);
        Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBuffers == 1));

        long start = Stopwatch.GetTimestamp();
        server.Server.Drain();
        Task stopping = server.StopAsync(TimeSpan.FromSeconds(30));
        await after.SendAsync(Put[20..]);
        Assert.Equal(307, (await after.ReadAsync())!.Status);
        await stopping;
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(25));
        Assert.Equal(2, server.Counters.Closed(CloseReason.LingerTimeout));
    }

    [Fact]
    public async Task What_is_still_open_when_the_time_is_over_is_cut_off()
    {
        await using RunningServer server = new();
        using TestClient half = await server.ConnectAsync();
        await half.SendAsync(Put[..20]);
        using TestClient deaf = await server.ConnectAsync(receiveBuffer: 4096);
        _ = deaf.SendAsync(string.Concat(Enumerable.Repeat(Put, 20_000)));
        Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBuffers >= 2));

        long start = Stopwatch.GetTimestamp();
        await server.StopAsync(TimeSpan.FromSeconds(1));
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0.9, 30);
        Assert.Equal(2, server.Counters.Closed(CloseReason.Aborted));
    }

    [Fact]
    public async Task No_request_that_reached_the_socket_before_the_end_of_its_idle_connection_is_lost()
    {
        for (int round = 0; round < 20; round++)
        {
            await using RunningServer server = new(loops: 1);
            TestClient[] clients = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => server.ConnectAsync()));
            foreach (TestClient client in clients)
            {
                await client.SendAsync(Put);
                Assert.Equal(307, (await client.ReadAsync())!.Status);
            }

            // The requests arrive while the loop closes their connections.
            foreach (TestClient client in clients) client.Socket.Send("PUT /metrics/job/b HTTP/1.1\r\nHost: x\r\n\r\n"u8);
            Task stopping = server.StopAsync(TimeSpan.FromSeconds(5));
            foreach (TestClient client in clients)
            {
                Assert.Equal(307, (await client.ReadAsync())?.Status);
                client.Dispose();
            }

            await stopping;
        }
    }
}
