using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The default limits, and the documented metric and reason of each.</summary>
public sealed class LimitTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Config = "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\n";
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    /// <summary>Far beyond every limit except the idle timeout.</summary>
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(40);

    [Fact]
    public async Task Who_stops_drips_or_does_not_read_is_ended_at_the_default_times()
    {
        DynamicShardingProcess server = await StartAsync(Config);
        await Task.WhenAll(A_head_that_stops(server), A_body_that_drips(server), A_client_that_does_not_read(server), Heads_that_are_too_big(server));
    }

    [Fact]
    public async Task Beyond_max_connections_is_503_and_those_within_are_unharmed()
    {
        const int Most = 5;
        DynamicShardingProcess server = await StartAsync(Config + $"limits: {{ max_connections: {Most} }}\n");
        List<RawHttp> within = [];
        string answer = "";
        while (within.Count <= Most)
        {
            // It sends before it reads, like clients.
            RawHttp client = await RawHttp.ConnectAsync(server.Address);
            await client.SendAsync(Put);
            answer = await client.ReadReplyAsync();
            if (!answer.StartsWith("HTTP/1.1 307 ", StringComparison.Ordinal)) break;
            within.Add(client);
        }

        Assert.InRange(within.Count, 1, Most);
        AssertRefusal("503", answer);
        const int Refused = 50;
        for (int i = 1; i < Refused; i++)
        {
            using RawHttp client = await RawHttp.ConnectAsync(server.Address);
            await client.SendAsync(Put);
            AssertRefusal("503", await client.ReadReplyAsync());
        }

        foreach (RawHttp client in within)
        {
            await client.SendAsync(Put);
            Assert.StartsWith("HTTP/1.1 307 ", await client.ReadReplyAsync(), StringComparison.Ordinal);
            client.Dispose();
        }

        await IsCountedAsync(server, Rejected("too_many_connections"), Refused);
        await IsCountedAsync(server, Closed("too_many_connections"), Refused);
    }

    [Fact, Trait("Category", "Slow")]
    public async Task Idle_connections_are_closed_after_75_seconds()
    {
        DynamicShardingProcess server = await StartAsync(Config);
        using RawHttp silent = await RawHttp.ConnectAsync(server.Address);
        using RawHttp asked = await RawHttp.ConnectAsync(server.Address);
        await asked.SendAsync(Put);
        Assert.StartsWith("HTTP/1.1 307 ", await asked.ReadReplyAsync(), StringComparison.Ordinal);
        long start = Stopwatch.GetTimestamp();
        TimeSpan limit = TimeSpan.FromSeconds(120);
        Assert.Equal(["", ""], await Task.WhenAll(silent.ReadToCloseAsync(limit), asked.ReadToCloseAsync(limit)));
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 74, 110);

        // One of the test's own connections may have been idle as long.
        await Eventually.TrueAsync(async () => await server.MetricAsync(Closed("idle")) >= 2, TimeSpan.FromSeconds(15), () => "not counted");
    }

    private static async Task A_head_that_stops(DynamicShardingProcess server)
    {
        using (RawHttp client = await RawHttp.ConnectAsync(server.Address))
        {
            long start = Stopwatch.GetTimestamp();
            await client.SendAsync(Put[..^4]);
            AssertRefusal("408", await client.ReadReplyAsync(limit: Generous));
            Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 9, 30);
        }

        await IsCountedAsync(server, Rejected("header_timeout"), 1);
        await IsCountedAsync(server, Closed("header_timeout"), 1);
    }

    private static async Task A_body_that_drips(DynamicShardingProcess server)
    {
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 10000\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 307 ", await client.ReadReplyAsync(), StringComparison.Ordinal);
        long start = Stopwatch.GetTimestamp();
        Task<string> end = client.ReadToCloseAsync(Generous);
        while (!end.IsCompleted)
        {
            try
            {
                await client.SendAsync("x");
            }
            catch (SocketException)
            {
                break; // reset
            }

            await Task.WhenAny(end, Task.Delay(200));
        }

        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 4, 25);
        await Task.WhenAny(end);
        Assert.True(!end.IsCompletedSuccessfully || end.Result.Length == 0, "a second answer");
        await IsCountedAsync(server, Closed("body_timeout"), 1);
    }

    private static async Task A_client_that_does_not_read(DynamicShardingProcess server)
    {
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096, SendBufferSize = 4096 };
        await client.ConnectAsync(IPEndPoint.Parse(server.Address));
        byte[] requests = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(Put, 1000)));
        long start = Stopwatch.GetTimestamp();
        using CancellationTokenSource limit = new(Generous);
        SocketException end = await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (true) await client.SendAsync(requests, limit.Token);
        });
        Assert.Equal(SocketError.ConnectionReset, end.SocketErrorCode);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 9, 35);
        await IsCountedAsync(server, Closed("write_timeout"), 1);
    }

    private static async Task Heads_that_are_too_big(DynamicShardingProcess server)
    {
        string fields = string.Concat(Enumerable.Range(0, 101).Select(i => $"X-{i}: v\r\n"));
        (string Request, string Status, string Reason)[] heads =
        [
            ($"PUT /metrics/job/{new string('a', 8192)} HTTP/1.1\r\nHost: edge.test\r\n\r\n", "414", "request_line_too_long"),
            ($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n{fields}\r\n", "431", "too_many_fields"),
            ($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nX: {new string('v', 32 * 1024)}\r\n\r\n", "431", "fields_too_large"),
        ];
        foreach ((string request, string status, string reason) in heads)
        {
            using RawHttp client = await RawHttp.ConnectAsync(server.Address);
            await client.SendAsync(request);
            AssertRefusal(status, await client.ReadReplyAsync());
            await IsCountedAsync(server, Rejected(reason), 1);
        }
    }

    private static void AssertRefusal(string status, string answer)
    {
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
    }

    private async Task<DynamicShardingProcess> StartAsync(string config)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await server.WaitUntilReadyAsync();
        return server;
    }

    private static Task<TimeSpan> IsCountedAsync(DynamicShardingProcess server, string series, double count) => Eventually.TrueAsync(
        async () => await server.MetricAsync(series) == count, TimeSpan.FromSeconds(15), () => $"{series} is not {count}");

    private static string Rejected(string reason) => $"dynamic_sharding_rejected_requests_total{{reason=\"{reason}\"}}";

    private static string Closed(string reason) => $"dynamic_sharding_connections_closed_total{{reason=\"{reason}\"}}";
}
