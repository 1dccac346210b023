using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>What the gateway gets of a request, and the client of the response: literal bytes on both sides.</summary>
public sealed class ForwardedMessageTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>All 256 bytes, which compressed or protobuf content may contain.</summary>
    private static readonly string Binary = string.Concat(Enumerable.Range(0, 256).Select(b => (char)b));

    [Theory, Trait("Smoke", "true")]
    [InlineData("Content-Length")]
    [InlineData("Transfer-Encoding")]
    public async Task Content_and_fields_reach_the_gateway_as_they_were_sent(string framing)
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        const string Fields =
            "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n"
            + "Content-Encoding: gzip\r\nAuthorization: Basic Y2xpZW50OnB3\r\nUser-Agent: batch/1.0\r\nX-Many: a, b\r\nAccept: */*\r\n";
        string content = framing == "Content-Length"
            ? $"Content-Length: 256\r\n\r\n{Binary}"
            : $"Transfer-Encoding: chunked\r\n\r\n10;x=y\r\n{Binary[..16]}\r\nf0\r\n{Binary[16..]}\r\n0\r\nTrailer: t\r\n\r\n";

        string reply = await server.ExchangeAsync($"POST /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n{Fields}{content}");

        Assert.Equal(200, ForwardServer.StatusOf(reply));
        RecordedRequest request = Assert.Single(gateway.Requests);
        Assert.Equal(Binary, request.Content);
        string[] expected = [.. Fields.Split("\r\n", StringSplitOptions.RemoveEmptyEntries), "Content-Length: 256", $"Host: {gateway.Address}", Via(request)];
        Assert.Equal(expected.Order(StringComparer.Ordinal), request.Fields.Order(StringComparer.Ordinal));
        Assert.StartsWith("POST /metrics/job/a HTTP/1.1\r\n", request.Head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fields_of_one_connection_are_not_passed_on_in_either_direction()
    {
        await using var gateway = new RecordingGateway(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Hop-Back\r\nKeep-Alive: timeout=5\r\nX-Hop-Back: 1\r\nX-End: 2\r\nUpgrade: h2c\r\n\r\nOK");
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        string reply = await server.ExchangeAsync(ForwardServer.Put(
            "/metrics/job/a",
            fields: "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\nX-End: 2\r\nTE: trailers\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\n"));

        RecordedRequest request = Assert.Single(gateway.Requests);
        Assert.Equal(
            ["Content-Length: 4", $"Host: {gateway.Address}", Via(request), "X-End: 2"], request.Fields.Order(StringComparer.Ordinal));
        RawResponse.ShouldBe("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: {date}\r\nX-End: 2\r\n\r\nOK", reply);
    }

    [Fact]
    public async Task An_upgrade_is_no_way_around_the_rules()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);

        string reply = await server.ExchangeAsync(
            "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n");

        Assert.Equal(200, ForwardServer.StatusOf(reply));
        RecordedRequest request = Assert.Single(gateway.Requests);
        Assert.Equal("PUT", request.Method);
        Assert.Null(request.Field("Upgrade"));
    }

    [Fact]
    public async Task Status_and_body_of_the_gateway_are_relayed()
    {
        (string Answer, int Status, string Body)[] rows =
        [
            ("HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\nContent-Type: text/plain\r\n\r\nno label\n", 400, "no label\n"),
            ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, ""),
            ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 401, ""),
            ("HTTP/1.1 307 Temporary Redirect\r\nLocation: /metrics/job/b\r\nContent-Length: 0\r\n\r\n", 307, ""),
            ("HTTP/1.1 500 Odd Reason\r\nContent-Length: 1\r\n\r\nx", 500, "x"),
        ];
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        foreach ((string answer, int status, string body) in rows)
        {
            gateway.Reply = answer;
            string reply = await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

            Assert.Equal(answer.Split("\r\n")[0], reply.Split("\r\n")[0]);
            Assert.Equal(body, reply[(reply.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
            string[] fields = answer[..answer.IndexOf("\r\n\r\n", StringComparison.Ordinal)].Split("\r\n")[1..];
            Assert.All(fields, field => Assert.Contains(field + "\r\n", reply, StringComparison.Ordinal));
            Assert.Single(gateway.TakeAll());
            Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"{status}\"}}"));
        }
    }

    [Theory]
    [InlineData(100)]
    [InlineData(100_000)]
    public async Task An_expectation_is_answered_before_the_content_is_sent(int length)
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        for (int i = 0; i < 2; i++)
        {
            await connection.SendAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n");
            Assert.Equal("HTTP/1.1 100 Continue\r\n\r\n", await connection.ReadReplyAsync());
            await connection.SendAsync(new string('x', length));
            Assert.Equal(200, ForwardServer.StatusOf(await connection.ReadReplyAsync()));
        }

        Assert.Equal(2, gateway.Requests.Length);
        Assert.All(gateway.Requests, request => Assert.Null(request.Field("Expect")));
        Assert.All(gateway.Requests, request => Assert.Equal(length, request.Content.Length));
    }

    [Theory]
    [InlineData("PUT /elsewhere", 404)]
    [InlineData("PUT /metrics/job/%zz", 400)]
    [InlineData("PUT /metrics/job/a", 413)]
    public async Task What_is_refused_is_refused_before_the_content_is_sent(string line, int status)
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { max_body_bytes: 1KiB }");
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);

        await connection.SendAsync($"{line} HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n");

        string reply = await connection.ReadReplyAsync();
        Assert.Equal(status, ForwardServer.StatusOf(reply));
        Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
        Assert.Empty(gateway.Requests);
    }

    [Fact]
    public async Task Framing_that_could_be_read_in_two_ways_is_refused()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        string[] rests =
        [
            "Content-Length: +4\r\n\r\nv 1\n",
            "Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nv 1\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\nv 1\n\r\n0\r\n\r\n",
        ];
        foreach (string rest in rests)
        {
            string reply = await server.ExchangeAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n{rest}");

            Assert.Equal(400, ForwardServer.StatusOf(reply));
            Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
        }

        Assert.Empty(gateway.Requests);
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"bad_content_length\"}"));
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, "192.0.2.1, 127.0.0.1")]
    public async Task The_clients_address_is_told_when_it_is_asked_for(bool on, string? expected)
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], more: $"forward: {{ x_forwarded_for: {(on ? "true" : "false")} }}");

        await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));
        await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a", fields: "X-Forwarded-For: 192.0.2.1\r\n"));

        Assert.Equal(on ? "127.0.0.1" : null, gateway.Requests[0].Field("X-Forwarded-For"));
        Assert.Equal(expected ?? "192.0.2.1", gateway.Requests[1].Field("X-Forwarded-For"));
    }

    /// <summary>The pseudonym is random, different in every process.</summary>
    private static string Via(RecordedRequest request)
    {
        Assert.Matches("^1\\.1 ds-[0-9a-f]{16}$", request.Field("Via"));
        return "Via: " + request.Field("Via");
    }
}
