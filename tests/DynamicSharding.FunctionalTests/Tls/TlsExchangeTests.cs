using System.Globalization;
using System.Text;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>What goes over TLS is what goes over plain connections, however the records are cut.</summary>
public sealed class TlsExchangeTests(ITestOutputHelper output) : PeerTest(output)
{
    [Theory, Trait("Smoke", "true")]
    [InlineData(Delivery.Whole)]
    [InlineData(Delivery.ByteByByte)]
    public async Task Every_request_of_the_data_listeners_table_gets_the_plain_response(Delivery delivery)
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway]);
        foreach ((string name, DataListenerRow row) in DataListenerRow.All)
        {
            using RawHttp connection = await server.ConnectAsync(server.Https, delivery: delivery);
            await connection.SendAsync(row.Request);
            string reply = row.Closes ? await connection.ReadToCloseAsync() : await connection.ReadReplyAsync(row.Head);
            Output.WriteLine(name);
            RawResponse.ShouldBe(row.Reply, reply);
        }
    }

    [Fact]
    public async Task Requests_in_one_record_are_answered_in_order()
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway]);
        DataListenerRow[] rows = [.. DataListenerRow.All.Values.Where(row => !row.Closes)];
        using RawHttp connection = await server.ConnectAsync(server.Https);

        await connection.SendAsync(string.Concat(rows.Select(row => row.Request)));

        foreach (DataListenerRow row in rows) RawResponse.ShouldBe(row.Reply, await connection.ReadReplyAsync(row.Head));
    }

    [Theory, Trait("Smoke", "true")]
    [InlineData(4096, false)]
    [InlineData(4096, true)]
    [InlineData(1 << 20, false)]
    [InlineData(1 << 20, true)]
    public async Task Content_reaches_the_gateway_and_its_response_the_client_unchanged(int length, bool isChunked)
    {
        string content = Pattern(length, 1), response = Pattern(length, 2);
        await using var gateway = new RecordingGateway($"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{response}");
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp connection = await server.ConnectAsync(server.ForwardHttps);
        for (int i = 0; i < 3; i++)
        {
            await connection.SendAsync(isChunked ? Chunked(content) : ForwardServer.Put("/metrics/job/a", content));
            string reply = await connection.ReadReplyAsync();
            Assert.EndsWith("\r\n\r\n" + response, reply, StringComparison.Ordinal);
            Assert.True(content == Assert.Single(gateway.TakeAll()).Content, "the content was changed");
        }
    }

    /// <summary>
    /// Plaintext of one client in a buffer that the loop's clients share would show in another's response. And a response that goes on while its
    /// client has no room must not wait for an event that was already there.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Clients_that_read_slowly_at_the_same_time_get_their_own_bytes(bool secure)
    {
        const int Length = 1 << 20, Clients = 24;
        await using var gateway = new EchoingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async number =>
        {
            using RawHttp connection = await (secure ? server.ConnectAsync(server.ForwardHttps) : RawHttp.ConnectAsync(server.Forward));
            string content = Pattern(Length, number);
            await connection.SendAsync(ForwardServer.Put(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{number}"), content));

            // The sockets' buffers are full before the first byte is read.
            await Task.Delay(TimeSpan.FromMilliseconds(500));
            string reply = await connection.ReadReplyAsync(limit: TimeSpan.FromSeconds(60));
            Assert.True(reply.EndsWith("\r\n\r\n" + content, StringComparison.Ordinal), $"client {number} got other bytes");
        }));
    }

    /// <summary>The gateway responds before it reads, so that a record of the request waits for room while the response comes.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Early_responses_of_gateways_over_TLS_reach_slow_clients(bool secure)
    {
        const int Clients = 8, Length = 3 << 20;
        string response = Pattern(Length, 5);
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            byte[] buffer = new byte[64 * 1024];
            await socket.ReceiveAsync(buffer, cancellation);
            await Task.Delay(300, cancellation);
            byte[] reply = Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {Length}\r\n\r\n{response}");
            for (int sent = 0; sent < reply.Length;)
            {
                sent += await socket.SendAsync(reply.AsMemory(sent, Math.Min(100_000, reply.Length - sent)), cancellation);

                // Now and then it takes a piece of the request, which makes room for another.
                if (socket.Available > 0) await socket.ReceiveAsync(buffer, cancellation);
            }

            while (await socket.ReceiveAsync(buffer, cancellation) > 0)
            {
            }
        });
        using TestAuthority authority = new();
        await using var proxy = new TlsProxy(gateway.Address, authority.Make("gateway"));
        using TlsServer server = await TlsServer.StartAsync(
            TestPeers, [proxy.Address], pushgateway: $"scheme: https, tls: {{ ca_file: {authority.CaFile} }}, health_check: {{ enabled: false }}");
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async number =>
        {
            using RawHttp connection = await (secure ? server.ConnectAsync(server.ForwardHttps) : RawHttp.ConnectAsync(server.Forward));
            Task sending = connection.SendAsync(ForwardServer.Put($"/metrics/job/j{number}", Pattern(Length, number)));
            await Task.Delay(TimeSpan.FromSeconds(1));
            string reply = await connection.ReadReplyAsync(limit: TimeSpan.FromSeconds(50));
            Assert.True(reply.EndsWith(response, StringComparison.Ordinal), $"client {number} got other bytes");
            await sending;
        }));
    }

    [Fact]
    public async Task Pipelined_responses_larger_than_the_socket_takes_arrive_complete()
    {
        const int Requests = 8000;
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway]);
        using RawHttp connection = await server.ConnectAsync(server.Https);
        Task sending = connection.SendAsync(string.Concat(Enumerable.Range(0, Requests).Select(
            i => string.Create(CultureInfo.InvariantCulture, $"PUT /metrics/job/j{i} HTTP/1.1\r\nHost: edge.test\r\n\r\n"))));
        await Task.Delay(TimeSpan.FromSeconds(1));
        for (int i = 0; i < Requests; i++)
            Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{i}\r\n"), await connection.ReadReplyAsync(), StringComparison.Ordinal);
        await sending;
    }

    private static string Chunked(string content)
    {
        var text = new StringBuilder("POST /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int start = 0; start < content.Length; start += 5000)
        {
            string part = content.Substring(start, Math.Min(5000, content.Length - start));
            text.Append(CultureInfo.InvariantCulture, $"{part.Length:x}\r\n{part}\r\n");
        }

        return text.Append("0\r\n\r\n").ToString();
    }

    /// <summary>No part of it is like another.</summary>
    private static string Pattern(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return Encoding.Latin1.GetString(bytes);
    }
}
