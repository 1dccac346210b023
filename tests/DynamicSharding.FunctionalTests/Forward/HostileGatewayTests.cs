using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Gateways that close, truncate or delay: what the client gets, and how often the push was sent.</summary>
public sealed class HostileGatewayTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Chunked = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\n0\r\n\r\n";

    private static readonly string[] Pushes =
    [
        ForwardServer.Put("/metrics/job/a"),
        ForwardServer.Put("/metrics/job/a", new string('x', 64 * 1024)),
        Chunked,
        "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 0\r\n\r\n",
        "POST /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n",
        "DELETE /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n",
    ];

    [Fact]
    public async Task A_gateway_that_closes_a_fresh_connection_without_a_response_gets_a_push_once()
    {
        int heads = 0;
        await using LoopbackServer gateway = Closing(() => Interlocked.Increment(ref heads));
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        foreach (string push in Pushes)
        {
            heads = 0;
            string reply = await server.ExchangeAsync(push);

            Assert.Equal(502, ForwardServer.StatusOf(reply));
            Assert.Contains($"pushgateway {gateway.Address} sent no complete response", reply, StringComparison.Ordinal);
            Assert.Equal(1, heads);
        }

        Assert.Equal(0, await server.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{gateway.Address}\"}}"));
    }

    [Fact]
    public async Task A_kept_connection_that_is_closed_as_the_push_arrives_costs_nothing()
    {
        int answered = 0;
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            var reader = new RequestReader(socket, "");
            if (await reader.ReadAsync(cancellation) is null) return;
            Interlocked.Increment(ref answered);
            await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);

            // Sees the next request and resets the connection.
            await socket.ReceiveAsync(new byte[1], SocketFlags.Peek, cancellation);
            socket.LingerState = new LingerOption(true, 0);
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        foreach (string push in Pushes)
        {
            for (int i = 0; i < 2; i++) Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(push)));
        }

        Assert.Equal(2 * Pushes.Length, answered);
        Assert.True(await server.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{gateway.Address}\"}}") >= 2);
    }

    [Theory]
    [InlineData("HTTP/1.1 099 N\r\nContent-Length: 0\r\n\r\n", "its status is 99")]
    [InlineData("HTTP/1.1 999 N\r\nContent-Length: 0\r\n\r\n", "its status is 999")]
    [InlineData("HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\nhello", "a 204 with content")]
    [InlineData("HTTP/1.1 205 N\r\nContent-Length: 5\r\n\r\nhello", "a 205 with content")]
    public async Task A_response_that_no_client_understands_is_502_and_says_why(string answer, string why)
    {
        await using var gateway = new RecordingGateway(answer, closes: true);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        string reply = await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.Equal(502, ForwardServer.StatusOf(reply));
        Assert.Contains($"pushgateway {gateway.Address} sent no complete response: {why}", reply, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Fine by me", "Fine by me")]
    [InlineData("Tr\u00e8s bien", "OK")]
    [InlineData("a\tb", "OK")]
    public async Task A_reason_phrase_beyond_ASCII_is_replaced(string phrase, string expected)
    {
        await using var gateway = new RecordingGateway($"HTTP/1.1 200 {phrase}\r\nContent-Length: 0\r\n\r\n", closes: true);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        string reply = await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.StartsWith($"HTTP/1.1 200 {expected}\r\n", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_CONNECT_closes_the_connection_as_on_the_data_listener()
    {
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [FreePort.NextAddress()]);
        string reply = await server.ExchangeAsync("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n");
        Assert.Equal(405, ForwardServer.StatusOf(reply));
        Assert.Contains("Connection: close\r\n", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Half_a_head_is_502_and_is_not_sent_again()
    {
        await using var gateway = new RecordingGateway("HTTP/1.1 200 OK\r\nContent-Le", closes: true);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        foreach (string push in Pushes)
        {
            string reply = await server.ExchangeAsync(push);

            Assert.Equal(502, ForwardServer.StatusOf(reply));
            Assert.Contains(gateway.Address, reply, StringComparison.Ordinal);
            Assert.Single(gateway.TakeAll());
        }
    }

    [Fact]
    public async Task Half_a_body_is_never_relayed_as_a_whole_one_nor_counted_as_a_success()
    {
        await using var gateway = new RecordingGateway("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", closes: true);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        for (int i = 0; i < 3; i++)
        {
            using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
            await connection.SendAsync(ForwardServer.Put("/metrics/job/a"));

            // The connection must end, by a close or a reset, not by the test's timeout.
            Exception end = await Assert.ThrowsAnyAsync<Exception>(() => connection.ReadReplyAsync());
            Assert.True(end is IOException or SocketException { SocketErrorCode: SocketError.ConnectionReset }, end.ToString());
        }

        gateway.Reply = RecordingGateway.Ok;
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"))));
        Assert.Equal(3, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"broken\"}}"));
        Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"200\"}}"));
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "level=debug", "gateway broke off its response", gateway.Address);
    }

    /// <summary>The timeout is a time without progress: a response that takes longer is relayed.</summary>
    [Fact]
    public async Task A_trickling_response_is_relayed()
    {
        const string Body = "twelve bytes";
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            await new RequestReader(socket, "").ReadAsync(cancellation);
            await socket.SendAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {Body.Length}\r\n\r\n"), cancellation);
            foreach (char one in Body)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(600), cancellation);
                await socket.SendAsync(new[] { (byte)one }, cancellation);
            }
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { timeout: 6s }");

        string reply = await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.EndsWith("\r\n\r\n" + Body, reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Longer_content_goes_on_a_connection_of_its_own_and_is_never_sent_twice()
    {
        await using var keeping = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [keeping.Address]);
        string large = ForwardServer.Put("/metrics/job/a", new string('x', (64 * 1024) + 1));

        // One client connection is on one event loop, and so is the connection that it keeps to the gateway.
        using (RawHttp connection = await RawHttp.ConnectAsync(server.Address))
        {
            for (int i = 0; i < 3; i++)
            {
                foreach (string push in new[] { ForwardServer.Put("/metrics/job/a"), large })
                {
                    await connection.SendAsync(push);
                    Assert.Equal(200, ForwardServer.StatusOf(await connection.ReadReplyAsync()));
                }
            }
        }

        Assert.Equal(1 + 3, keeping.Connections);

        int heads = 0;
        await using LoopbackServer closing = Closing(() => Interlocked.Increment(ref heads));
        ForwardServer other = await ForwardServer.StartAsync(TestPeers, [closing.Address]);
        Assert.Equal(502, ForwardServer.StatusOf(await other.ExchangeAsync(large)));
        Assert.Equal(1, heads);
    }

    /// <summary>
    /// 65,536 bytes are kept until their response comes, and sent once more when their kept connection ends without one. A byte more is streamed:
    /// on a connection of its own, and once.
    /// </summary>
    [Theory]
    [InlineData(65_536, false)]
    [InlineData(65_536, true)]
    [InlineData(65_537, false)]
    [InlineData(65_537, true)]
    public async Task Content_of_64_KiB_is_repeated_and_a_byte_more_is_not(int length, bool isChunked)
    {
        bool isRepeated = length == 65_536;
        string content = string.Concat(Enumerable.Range(0, (length / 8) + 1).Select(static i => string.Create(CultureInfo.InvariantCulture, $"v{i:D5} 1")))[..length];
        ConcurrentQueue<(int Connection, string Content)> received = new();
        int connections = 0;
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            int connection = Interlocked.Increment(ref connections);
            var reader = new RequestReader(socket, "");
            while (await reader.ReadAsync(cancellation) is { } request)
            {
                received.Enqueue((connection, request.Content));

                // The first time that the long content is here: the whole of it is read, and the connection ends without a response.
                if (request.Content == content && received.Count(one => one.Content == content) == 1) return;
                await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
            }
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(ForwardServer.Put("/metrics/job/a"));
        Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));

        await client.SendAsync(isChunked
            ? $"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{content}\r\n0\r\n\r\n"
            : ForwardServer.Put("/metrics/job/a", content));
        string reply = await client.ReadReplyAsync();

        (int Connection, string Content)[] all = [(1, "v 1\n"), .. isRepeated ? ((int, string)[])[(1, content), (2, content)] : [(2, content)]];
        Assert.Equal(all.Select(static one => one.Connection), received.Select(static one => one.Connection));
        Assert.True(all.SequenceEqual(received), "other content than the client's");
        Assert.Equal(isRepeated ? 200 : 502, ForwardServer.StatusOf(reply));
        if (!isRepeated)
            Assert.EndsWith($"\r\n\r\npushgateway {gateway.Address} sent no complete response: the connection was closed before a response\n", reply, StringComparison.Ordinal);
        string labels = $"gateway=\"{gateway.Address}\"";
        Assert.Equal(isRepeated ? 1 : 0, await server.MetricAsync($"dynamic_sharding_forward_replays_total{{{labels}}}"));
        Assert.Equal(isRepeated ? 2 : 1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{{labels},code=\"200\"}}"));
        if (!isRepeated) Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{{labels},code=\"502\"}}"));

        // Its client is kept: the failure is the gateway's. The connection that the small push left is still good, if the repeat did not take it.
        await client.SendAsync(ForwardServer.Put("/metrics/job/a"));
        Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        Assert.Equal((isRepeated ? 2 : 1, "v 1\n"), received.Last());
    }

    [Fact]
    public async Task A_gateway_that_closes_idle_connections_at_the_worst_moment_loses_no_push()
    {
        const int Pushed = 400;
        int received = 0;
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            var reader = new RequestReader(socket, "");
            for (int left = Random.Shared.Next(1, 4); left > 0 && await reader.ReadAsync(cancellation) is not null; left--)
            {
                Interlocked.Increment(ref received);
                await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
            }

            // At once, or when the next request's first byte arrives: both sides of the race.
            if (Random.Shared.Next(2) == 0) await socket.ReceiveAsync(new byte[1], SocketFlags.Peek, cancellation);
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        int late = 0;
        for (int i = 0; i < Pushed; i++)
        {
            long start = Stopwatch.GetTimestamp();
            await connection.SendAsync(i % 2 == 0 ? ForwardServer.Put("/metrics/job/a") : Chunked);
            int status = ForwardServer.StatusOf(await connection.ReadReplyAsync());

            // One whose connection is closed more than a second after it was sent, on a machine that stalls, is not sent again.
            if (status == 502 && Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(1)) late++;
            else Assert.Equal(200, status);
        }

        Assert.InRange(late, 0, 3);
        Assert.Equal(Pushed - late, received);
        double replays = await server.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{gateway.Address}\"}}");
        Output.WriteLine($"{replays} of {Pushed} pushes met a connection that was just closed");
        Assert.True(replays > 0, "the worst moment was never met");
    }

    /// <summary>
    /// Pushes come before and after the end that the gateway announces. When one comes after it, the gateway resets the connection, like one whose
    /// end was on its way to the edge.
    /// </summary>
    [Fact]
    public async Task No_push_meets_the_end_of_an_idle_connection_that_its_gateway_has_announced()
    {
        int connections = 0;
        int leftByServer = 0;
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            Interlocked.Increment(ref connections);
            var reader = new RequestReader(socket, "");
            while (await reader.ReadAsync(cancellation) is not null)
            {
                await socket.SendAsync("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), cancellation);
                long idleSince = Stopwatch.GetTimestamp();
                if (await socket.ReceiveAsync(new byte[1], SocketFlags.Peek, cancellation) == 0) break;
                if (Stopwatch.GetElapsedTime(idleSince) < TimeSpan.FromSeconds(2)) continue;
                socket.LingerState = new LingerOption(true, 0);
                return;
            }

            Interlocked.Increment(ref leftByServer);
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);

        foreach (int pause in (int[])[2500, 1500, 2100, 1900, 2300, 1700])
        {
            await client.SendAsync(ForwardServer.Put("/metrics/job/a"));
            Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
            await Task.Delay(pause);
        }

        Assert.Equal(0, await server.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{gateway.Address}\"}}"));
        await Eventually.TrueAsync(
            () => Task.FromResult(Volatile.Read(ref leftByServer) == Volatile.Read(ref connections)),
            TimeSpan.FromSeconds(20),
            () => $"{leftByServer} of {connections} connections were closed by the server");
    }

    [Fact]
    public async Task No_gateway_is_502_at_once_and_no_response_is_504_after_the_timeout()
    {
        await using var silent = LoopbackServer.Silent();
        string nobody = FreePort.NextAddress();
        ForwardServer gone = await ForwardServer.StartAsync(TestPeers, [nobody]);
        ForwardServer waiting = await ForwardServer.StartAsync(TestPeers, [silent.Address], more: "forward: { timeout: 1s }");

        string unreachable = await gone.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));
        string late = await waiting.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.Equal(502, ForwardServer.StatusOf(unreachable));
        Assert.EndsWith($"\r\n\r\npushgateway {nobody} cannot be reached: Connection refused\n", unreachable, StringComparison.Ordinal);
        Assert.Equal(504, ForwardServer.StatusOf(late));
        Assert.EndsWith($"\npushgateway {silent.Address} sent no response within 1s (forward.timeout)\n", late, StringComparison.Ordinal);
        Assert.Equal(0, await waiting.MetricAsync($"dynamic_sharding_forward_in_flight{{gateway=\"{silent.Address}\"}}"));
        Assert.Equal(0, await waiting.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{silent.Address}\"}}"));
    }

    /// <summary>Closes each connection after a request's head, without a response.</summary>
    private static LoopbackServer Closing(Action onHead) => new(async (socket, cancellation) =>
    {
        await new RequestReader(socket, "").ReadHeadAsync(cancellation);
        onHead();
    });
}
