using System.Diagnostics;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>How TLS connections end, and what does not end them.</summary>
public sealed class TlsLifecycleTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Lookup = "GET /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    /// <summary>Without close_notify, a client that checks it takes the response for cut short (RFC 8446 6.1).</summary>
    [Theory]
    [InlineData("GET /metrics/job/a HTTP/1.1\\r\\nHost: e\\r\\nConnection: close\\r\\n\\r\\n")]
    [InlineData("GET /metrics/job/a HTTP/1.0\\r\\n\\r\\n")]
    [InlineData("PUT /metrics/job HTTP/1.1\\r\\n\\r\\n")]
    public async Task The_end_of_the_last_response_is_announced(string request)
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway]);
        string script = $"""
            import socket, ssl
            context = ssl.create_default_context(cafile='{server.Authority.CaFile}')
            for i in range(20):
                raw = socket.create_connection(('127.0.0.1', {server.Https.Split(':')[1]}), timeout=10)
                with context.wrap_socket(raw, server_hostname='127.0.0.1', suppress_ragged_eofs=False) as s:
                    s.sendall(b'{request}')
                    while s.recv(4096): pass
            print('announced')
            """;
        await using ChildProcess client = await ChildProcess.StartAsync("python3", "python3", ["-c", script]);
        Assert.Equal(0, await client.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal("announced\n", client.Output);
    }

    [Theory]
    [InlineData(true, 4)]
    [InlineData(true, 200_000)]
    [InlineData(false, 4)]
    [InlineData(false, 200_000)]
    public async Task A_client_that_closes_only_its_sending_side_gets_its_response(bool announces, int length)
    {
        await using var gateway = new RecordingGateway(beforeResponse: (_, cancellation) => Task.Delay(300, cancellation));
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        foreach (string address in (string[])[server.Https, server.ForwardHttps])
        {
            using RawHttp connection = await server.ConnectAsync(address);
            await connection.SendAsync(ForwardServer.Put("/metrics/job/a", new string('v', length)));
            if (announces) await connection.Tls.ShutdownAsync();
            else connection.CloseSending();
            Assert.Equal(address == server.Https ? 307 : 200, ForwardServer.StatusOf(await connection.ReadReplyAsync()));
            Assert.Equal("", await connection.ReadToCloseAsync());
        }

        Assert.Single(gateway.Requests);
    }

    /// <summary>One place each, then the rest on one listener: none has a limit of its own.</summary>
    [Fact]
    public async Task All_four_listeners_share_one_limit_of_connections()
    {
        const int Most = 8;
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: $"limits: {{ max_connections: {Most} }}");
        string[] plain = [server.Process.Address, server.Forward], secure = [server.Https, server.ForwardHttps];
        List<RawHttp> held = [];
        foreach (string address in plain) held.Add(await HoldAsync(RawHttp.ConnectAsync(address)));
        foreach (string address in secure) held.Add(await HoldAsync(server.ConnectAsync(address)));
        Exception? full = null;
        while (full is null && held.Count <= Most) full = await Record.ExceptionAsync(async () => held.Add(await HoldAsync(server.ConnectAsync(server.Https))));
        Assert.InRange(held.Count, 4, Most);

        foreach (string address in plain)
        {
            Assert.Equal(503, ForwardServer.StatusOf(await ForwardServer.ExchangeAsync(address, Lookup)));
        }

        foreach (string address in secure) await Assert.ThrowsAnyAsync<Exception>(() => server.ConnectAsync(address));
        Assert.True(await server.ClosedAsync("too_many_connections") >= 5);

        // A place that a redirect listener gives back is one for forwards over TLS.
        held[0].Dispose();
        await Eventually.TrueAsync(
            async () => await Record.ExceptionAsync(async () => held[0] = await HoldAsync(server.ConnectAsync(server.ForwardHttps))) is null,
            TimeSpan.FromSeconds(20),
            () => "no place after a connection ended");
        foreach (RawHttp connection in held) connection.Dispose();
    }

    private static async Task<RawHttp> HoldAsync(Task<RawHttp> connecting)
    {
        RawHttp connection = await connecting;
        await connection.SendAsync("GET /-/healthy HTTP/1.1\r\nHost: e\r\n\r\n");
        Assert.Equal(200, ForwardServer.StatusOf(await connection.ReadReplyAsync()));
        return connection;
    }

    [Fact]
    public async Task A_client_that_does_not_read_its_responses_is_reset_after_write_timeout()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { write_timeout: 1s }");
        using RawHttp connection = await server.ConnectAsync(server.Https);
        string requests = string.Concat(Enumerable.Repeat(Lookup, 2000));
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < 100; i++) await connection.SendAsync(requests);
        });
        await server.WaitForClosedAsync("write_timeout", 1);
        await Assert.ThrowsAnyAsync<IOException>(() => sending.WaitAsync(TimeSpan.FromSeconds(20)));
        await server.ServesAsync();
    }

    [Fact, Trait("Smoke", "true")]
    public async Task A_stop_answers_what_is_in_flight_and_ends_kept_connections_and_handshakes()
    {
        var arrived = new TaskCompletionSource();
        await using var gateway = new RecordingGateway(beforeResponse: async (_, cancellation) =>
        {
            arrived.TrySetResult();
            await Task.Delay(TimeSpan.FromSeconds(2), cancellation);
        });
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "shutdown: { drain_delay: 0s, timeout: 2m }\nlimits: { header_timeout: 2m }");
        using RawHttp kept = await server.ConnectAsync(server.Https);
        await kept.SendAsync(Lookup);
        Assert.StartsWith("HTTP/1.1 200 ", await kept.ReadReplyAsync(), StringComparison.Ordinal);
        using RawHttp stalled = await RawHttp.ConnectAsync(server.Https);
        await stalled.SendAsync("\u0016");
        using RawHttp silent = await server.ConnectAsync(server.Https);
        using RawHttp pushing = await server.ConnectAsync(server.ForwardHttps);
        await pushing.SendAsync(ForwardServer.Put("/metrics/job/a"));
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(20));

        long start = Stopwatch.GetTimestamp();
        server.Process.Process.Terminate();

        Assert.Equal("", await kept.ReadToCloseAsync());
        string reply = await pushing.ReadReplyAsync();
        Assert.Equal(200, ForwardServer.StatusOf(reply));
        Assert.Equal("", await silent.ReadToCloseAsync());
        Assert.Equal(0, await server.Process.Process.WaitForExitAsync(TimeSpan.FromSeconds(60)));

        // The stalled handshake alone would have lasted limits.header_timeout; a stop waits 2 s for it.
        Output.WriteLine($"stopped after {Stopwatch.GetElapsedTime(start)}");
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60), "the stop waited for a stalled handshake");
        Assert.DoesNotContain("shutdown timeout exceeded", server.Process.Process.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_that_follows_its_handshake_during_a_stop_is_answered()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "shutdown: { drain_delay: 9s, timeout: 20s }");
        server.Process.Process.Terminate();
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(20), "draining");
        string reply = await server.ExchangeAsync(server.ForwardHttps, ForwardServer.Put("/metrics/job/a"));
        Assert.Equal(200, ForwardServer.StatusOf(reply));
        Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task New_keys_in_TLS_1_3_change_nothing()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        await using ChildProcess client = await StartClientAsync(server, "-tls1_3");
        for (int i = 1; i <= 3; i++)
        {
            await RequestAsync(client);
            await WaitForResponsesAsync(client, i);

            // Both directions get new keys.
            await client.TellAsync("K");
            await client.WaitUntilReadyAsync(
                () => Task.FromResult(client.Output.Split("KEYUPDATE").Length > i), TimeSpan.FromSeconds(20));
        }
    }

    /// <summary>OpenSSL is in the middle of a message then, and refuses to say goodbye.</summary>
    [Fact]
    public async Task Half_a_message_after_the_handshake_leaves_nothing_behind()
    {
        const int Clients = 40;
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { max_connections: 100 }");
        await server.ServesAsync(); // what the process opens for its first handshake
        int before = Descriptors(server);
        double open = await server.Process.MetricAsync("dynamic_sharding_connections_open");
        for (int i = 0; i < Clients; i++)
        {
            using var client = new RecordClient(i % 2 == 0 ? server.Https : server.ForwardHttps);
            client.SendHandshake(24, 0, 0, 1); // the head of a KeyUpdate
        }

        await Eventually.TrueAsync(
            async () => await server.Process.MetricAsync("dynamic_sharding_connections_open") <= open && Descriptors(server) < before + (Clients / 2),
            TimeSpan.FromSeconds(20),
            () => $"{Descriptors(server) - before} descriptors are left");
        Assert.Equal(0, await server.ClosedAsync("io_error"));
        Assert.False(server.Process.HasLogged("level=error"));
        await server.ServesAsync();
    }

    [Fact]
    public async Task Renegotiation_in_TLS_1_2_is_refused_and_harms_nobody_else()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        await using ChildProcess client = await StartClientAsync(server, "-tls1_2");
        await RequestAsync(client);
        await WaitForResponsesAsync(client, 1);
        await client.TellAsync("R");
        await client.WaitForExitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains("RENEGOTIATING", client.Output, StringComparison.Ordinal);
        await server.ServesAsync();
        Assert.Equal(0, await server.ClosedAsync("io_error"));
    }

    private static int Descriptors(TlsServer server) => Directory.GetFileSystemEntries($"/proc/{server.Process.Process.Pid}/fd").Length;

    private static Task<ChildProcess> StartClientAsync(TlsServer server, string version) => ChildProcess.StartAsync(
        "openssl s_client", "openssl", ["s_client", "-connect", server.Https, "-CAfile", server.Authority.CaFile, "-crlf", version], keepInput: true);

    private static async Task RequestAsync(ChildProcess client)
    {
        foreach (string line in (string[])["GET /-/healthy HTTP/1.1", "Host: e", ""]) await client.TellAsync(line);
    }

    private static Task WaitForResponsesAsync(ChildProcess client, int count) => client.WaitUntilReadyAsync(
        () => Task.FromResult(client.Output.Split("HTTP/1.1 200 OK").Length > count), TimeSpan.FromSeconds(20));
}
