using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Proxies;

/// <summary>The header of the PROXY protocol before TLS and HTTP, on all four data listeners.</summary>
public sealed class ProxyProtocolTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string V1 = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 9292\r\n";
    private const string Signature = "\r\n\r\n\0\r\nQUIT\n";
    private const string V2 = Signature + "\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c";
    private const string Local = Signature + "\x20\0\0\0";
    private const string Push = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nv 1\n";
    private const string Wrong = "PUT /nowhere HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 0\r\n\r\n";

    private const string V6 = Signature + "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07" + "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67\x24\x4c";

    /// <summary>What is sent, and the client that it names; the header's own peer for none.</summary>
    private static readonly (string Header, string Client)[] Good1 =
    [
        (V1, "192.0.2.7:4711"),
        ("PROXY TCP6 2001:db8::7 ::1 4711 9292\r\n", "[2001:db8::7]:4711"),
        ("PROXY UNKNOWN\r\n", "127.0.0.1:"),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "127.0.0.1:"),
    ];

    private static readonly (string Header, string Client)[] Good2 =
    [
        (V2, "192.0.2.7:4711"),
        (V6, "[2001:db8::7]:4711"),
        (Local, "127.0.0.1:"),
        (Signature + "\x20\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c", "127.0.0.1:"), // LOCAL with addresses
        (Signature + "\x21\0\0\x04wxyz", "127.0.0.1:"), // UNSPEC
        (Signature + "\x21\x31\0\xd8" + new string('u', 216), "127.0.0.1:"), // UNIX
        (Signature + "\x21\x11\0\x13\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c\x03\0\x04" + "abcd", "192.0.2.7:4711"), // a TLV: CRC32C
        (Signature + "\x21\x11\x0f\xf0\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c\x04\x0f\xe1" + new string('n', 0xfe1), "192.0.2.7:4711"), // 4096 bytes
    ];

    [Theory]
    [InlineData("any")]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task Every_data_listener_takes_a_good_one_however_it_arrives(string protocol)
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, protocol, "127.0.0.0/8", "forward: { x_forwarded_for: true }\nlog: { rejected_sample: 1000 }");
        foreach ((string header, string client) in protocol == "v1" ? Good1 : protocol == "v2" ? Good2 : [.. Good1, .. Good2])
        {
            foreach (Arrival arrival in Enum.GetValues<Arrival>())
            {
                // Of the long ones, a few bytes alone are as good as all.
                if (arrival == Arrival.ByteByByte && header.Length > 300) continue;
                gateway.TakeAll();
                foreach ((string address, bool isTls, int status) in server.Listeners)
                {
                    using Client connection = await Client.ConnectAsync(address, header, isTls ? server.Authority.Client() : null, arrival);
                    await connection.SendAsync(Push);
                    Assert.StartsWith($"HTTP/1.1 {status} ", await connection.ReadHeadAsync(), StringComparison.Ordinal);
                    await connection.SendAsync(Wrong);
                    Assert.StartsWith("HTTP/1.1 404 ", await connection.ReadHeadAsync(), StringComparison.Ordinal);
                }

                Assert.Equal(2, gateway.Requests.Length);
                Assert.All(gateway.Requests, request => Assert.Equal(HostOf(client), request.Field("X-Forwarded-For")));
            }

            await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "level=info", "request rejected (sampled)", "reason=not_found", "method=PUT", "path=/nowhere", "peer=" + client);
        }

        using HttpClient page = LoopbackHttp.Client(server.Admin);
        string shown = await page.GetStringAsync("");
        Assert.Contains("id=\"rejected\"", shown, StringComparison.Ordinal);
        Assert.Contains("<code>not_found</code>", shown, StringComparison.Ordinal);
        foreach (string client in (string[])["192.0.2.7", "2001:db8::7", "127.0.0.1"]) Assert.Contains($"<code class=\"address\">{client}</code>", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("any")]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task Without_a_good_one_the_connection_ends_without_a_response(string protocol)
    {
        string[] bad =
        [
            "",
            "GET / HTTP/1.1\r\nHost: edge.test\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0",
            "PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 4711 9292\n",
            "PROXY UNKNOWN " + new string('x', 200) + "\r\n",
            Signature[..11] + "\r" + V2[12..],
            "\r\n" + V2,
            Signature + "\x31\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c",
            Signature + "\x21\x11\0\x0b\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24",
            Signature + "\x21\x11\x0f\xf1\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c\x04\x0f\xe2" + new string('n', 0xfe2), // 4097 bytes
            .. protocol == "v1" ? (string[])[V2, Local] : [],
            .. protocol == "v2" ? (string[])[V1, "PROXY UNKNOWN\r\n"] : [],
        ];
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, protocol, "127.0.0.0/8");
        foreach (string header in bad)
        {
            foreach ((string address, _, _) in server.Listeners) await EndsAsync(address, header + Push, null);
        }

        await server.WaitForClosedAsync("bad_proxy_header", 4 * bad.Length);
        Assert.Contains(await server.Process.WarningsAsync(), static what => what.EndsWith("they did not begin with a valid header of the PROXY protocol.", StringComparison.Ordinal));
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "connection rejected (sampled)", "reason=bad_proxy_header", "peer=127.0.0.1:");
        Assert.Empty(gateway.Requests);
    }

    [Theory]
    [InlineData(V1)]
    [InlineData(V2)]
    public async Task A_peer_that_is_not_trusted_names_no_client(string header)
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, "any", "192.0.2.0/24");
        foreach ((string address, _, _) in server.Listeners) await EndsAsync(address, header + Push, null);
        await server.WaitForClosedAsync("untrusted_proxy", 4);
        Assert.Empty(gateway.Requests);
        Assert.Contains("4 connections closed within the last hour because the peer is not in trusted_proxies.", await server.Process.WarningsAsync());
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "connection rejected (sampled)", "reason=untrusted_proxy", "peer=127.0.0.1:");

        // On this machine, for itself: as the healthcheck does.
        using Client own = await Client.ConnectAsync(server.Plain, Local, null, Arrival.Alone);
        await own.SendAsync(Push);
        Assert.StartsWith("HTTP/1.1 307 ", await own.ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Half_a_header_ends_with_its_client_or_after_header_timeout()
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, "any", "127.0.0.0/8", "limits: { header_timeout: 1s }");
        await Task.WhenAll(server.Listeners.SelectMany(static listener => (Task[])
        [
            EndsAsync(listener.Address, V2[..14], null),
            EndsAsync(listener.Address, V1[..14], null),
            EndsAsync(listener.Address, "", null),
            EndsAsync(listener.Address, V1[..14], SocketShutdown.Send),
        ]));
        await server.WaitForClosedAsync("bad_proxy_header", 16);
        await EndsAsync(server.Plain, "", SocketShutdown.Send);
        await server.WaitForClosedAsync("client_closed", 1);
    }

    [Theory]
    [InlineData(V1)]
    [InlineData("PROXY UNKNOWN\r\n")]
    [InlineData(V2)]
    [InlineData(Local)]
    public async Task One_that_nobody_expects_is_refused_with_its_remedy(string header)
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, "off", "", "log: { rejected_sample: 1000 }");
        foreach ((string address, bool isTls, _) in server.Listeners)
        {
            if (isTls)
            {
                await EndsWithoutHttpAsync(address, header);
                continue;
            }

            using Client connection = await Client.ConnectAsync(address, header + Push, null, Arrival.Alone);
            string reply = await connection.ReadHeadAsync();
            while (!reply.EndsWith("none\n", StringComparison.Ordinal)) reply += await connection.ReadAsync();
            Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
            Assert.EndsWith("\r\n\r\na header of the PROXY protocol is not expected here: set proxy_protocol, or make the proxy send none\n", reply, StringComparison.Ordinal);
        }

        await server.WaitForClosedAsync("unexpected_proxy_header", 2);
        Assert.Equal(0, await server.ClosedAsync("tls_failed"));
        Assert.Equal(1, await server.Process.MetricAsync("dynamic_sharding_rejected_requests_total{reason=\"unexpected_proxy_header\"}"));
        Assert.Equal(1, await server.Process.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"unexpected_proxy_header\"}"));
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "level=info", "request rejected (sampled)", "reason=unexpected_proxy_header", "peer=127.0.0.1:");
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "level=info", "connection rejected (sampled)", "reason=unexpected_proxy_header", "peer=127.0.0.1:");
        Assert.Contains(
            await server.Process.WarningsAsync(), static what => what.EndsWith("a header of the PROXY protocol came where none is expected.", StringComparison.Ordinal));
        Assert.Empty(gateway.Requests);
    }

    /// <summary>Before TLS, too, where that listener is the only one.</summary>
    [Theory]
    [InlineData("v1", false)]
    [InlineData("v2", false)]
    [InlineData("any", false)]
    [InlineData("v2", true)]
    public async Task Watchdog_and_healthcheck_need_no_trust(string protocol, bool isTls)
    {
        using var authority = new TestAuthority();
        authority.Issue("edge");
        using ServiceManager manager = new();
        string address = FreePort.NextAddress(), admin = FreePort.NextAddress();
        string listener = isTls
            ? $"http_listen_addr: \"\"\nhttps_listen_addr: {address}\ntls: {{ cert_file: {authority.Path("edge.pem")}, key_file: {authority.Path("edge.key")} }}"
            : $"http_listen_addr: {address}";
        string config = $$"""
            {{listener}}
            admin_listen_addr: {{admin}}
            proxy_protocol: {{protocol}}
            trusted_proxies: [192.0.2.1]
            pushgateway: { servers: ["127.0.0.1:9091", "127.0.0.2:9091"], health_check: { enabled: false } }
            shutdown: { drain_delay: 0s }

            """;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config, admin, admin, manager.Environment(TimeSpan.FromSeconds(8)));

        // Each ping follows a check that got its response.
        await Eventually.TrueAsync(() => Task.FromResult(manager.TimesOf("WATCHDOG=1").Length >= 3), TimeSpan.FromSeconds(60), () => "three pings");
        using TemporaryFolder folder = new();
        string file = folder.Write("c.yml", config.Replace($"admin_listen_addr: {admin}", "admin_listen_addr: \"\"", StringComparison.Ordinal));
        string scheme = isTls ? "https" : "http";
        Assert.Equal((0, $"{scheme}://{address}/-/ready: 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", file));

        // A URL says nothing of a header, which docs/configuration.md says.
        Assert.Equal(1, (await DynamicShardingProcess.RunAsync("healthcheck", "--url", $"{scheme}://{address}")).ExitCode);
    }

    private Task<Edge> StartAsync(string gateway, string protocol, string trusted, string more = "") => Edge.StartAsync(TestPeers, gateway, protocol, trusted, more);

    private static async Task EndsAsync(string address, string text, SocketShutdown? end)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(address));
        if (text.Length > 0) await socket.SendAsync(Encoding.Latin1.GetBytes(text));
        if (end is { } how) socket.Shutdown(how);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            Assert.Equal(0, await socket.ReceiveAsync(new byte[16], limit.Token));
        }
        catch (SocketException e)
        {
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        }
    }

    /// <summary>At most an alert of TLS comes back.</summary>
    private static async Task EndsWithoutHttpAsync(string address, string text)
    {
        using Client client = await Client.ConnectAsync(address, text, null, Arrival.Alone);
        string reply = "";
        for (string more; (more = await client.ReadAsync()).Length > 0;) reply += more;
        Assert.DoesNotContain("HTTP", reply, StringComparison.Ordinal);
    }

    /// <summary>As text, without the port.</summary>
    private static string HostOf(string client) => client[..client.LastIndexOf(':')].Trim('[', ']');

    private enum Arrival
    {
        /// <summary>In a segment of its own.</summary>
        Alone,

        /// <summary>In one segment with the ClientHello, or the request.</summary>
        Together,
        ByteByByte,
    }

    private sealed class Client : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private Stream _stream = Stream.Null;

        public static async Task<Client> ConnectAsync(string address, string header, SslClientAuthenticationOptions? tls, Arrival arrival)
        {
            Client client = new();
            await client._socket.ConnectAsync(IPEndPoint.Parse(address));
            byte[] bytes = Encoding.Latin1.GetBytes(header);
            if (arrival == Arrival.Alone) await client._socket.SendAsync(bytes);
            for (int i = 0; arrival == Arrival.ByteByByte && i < bytes.Length; i++)
            {
                await client._socket.SendAsync(bytes.AsMemory(i, 1));
                await Task.Delay(1);
            }

            Stream plain = new NetworkStream(client._socket);
            if (arrival == Arrival.Together) plain = new PrefixedStream(plain, bytes);
            client._stream = plain;
            if (tls is null) return client;
            SslStream secure = new(plain);
            await secure.AuthenticateAsClientAsync(tls);
            client._stream = secure;
            return client;
        }

        public async Task SendAsync(string text) => await _stream.WriteAsync(Encoding.Latin1.GetBytes(text));

        public async Task<string> ReadHeadAsync()
        {
            var head = new StringBuilder();
            while (!head.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                string more = await ReadAsync();
                Assert.NotEqual("", more);
                head.Append(more);
            }

            return head.ToString();
        }

        /// <returns>What comes next; empty at the end.</returns>
        public async Task<string> ReadAsync()
        {
            byte[] some = new byte[4096];
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            return Encoding.Latin1.GetString(some, 0, await _stream.ReadAsync(some, limit.Token));
        }

        public void Dispose()
        {
            _stream.Dispose();
            _socket.Dispose();
        }
    }
}
