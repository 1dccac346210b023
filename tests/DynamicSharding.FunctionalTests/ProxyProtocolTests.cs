using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The header of the PROXY protocol before TLS and HTTP, on all four data listeners.</summary>
public sealed class ProxyProtocolTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string V1 = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 9292\r\n";
    private const string V2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x24\x4c";
    private const string Local = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    private const string Push = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nv 1\n";
    private const string Wrong = "PUT /nowhere HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 0\r\n\r\n";

    [Theory]
    [InlineData("any", V1, "192.0.2.7:4711")]
    [InlineData("any", V2, "192.0.2.7:4711")]
    [InlineData("v1", V1, "192.0.2.7:4711")]
    [InlineData("v2", V2, "192.0.2.7:4711")]
    [InlineData("any", "PROXY UNKNOWN\r\n", "127.0.0.1:")]
    [InlineData("v2", Local, "127.0.0.1:")]
    public async Task Every_data_listener_takes_it_whole_and_byte_by_byte(string protocol, string header, string client)
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, protocol, "127.0.0.0/8", "forward: { x_forwarded_for: true }\nlog: { rejected_sample: 1000 }");
        foreach (bool isSplit in (bool[])[false, true])
        {
            foreach ((string address, bool isTls, int status) in server.Listeners)
            {
                using Client connection = await Client.ConnectAsync(address, header, isTls ? server.Authority.Client() : null, isSplit);
                await connection.SendAsync(Push);
                Assert.StartsWith($"HTTP/1.1 {status} ", await connection.ReadHeadAsync(), StringComparison.Ordinal);
                await connection.SendAsync(Wrong);
                Assert.StartsWith("HTTP/1.1 404 ", await connection.ReadHeadAsync(), StringComparison.Ordinal);
            }
        }

        Assert.Equal(4, gateway.Requests.Length);
        Assert.All(gateway.Requests, request => Assert.Equal(client.Split(':')[0], request.Field("X-Forwarded-For")));
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "level=info", "request rejected, sampled", "reason=not_found", "method=PUT", "path=/nowhere", "peer=" + client);
        using HttpClient page = LoopbackHttp.Client(server.Admin);
        string shown = await page.GetStringAsync("");
        Assert.Contains("id=\"rejected\"", shown, StringComparison.Ordinal);
        Assert.Contains("<code>not_found</code>", shown, StringComparison.Ordinal);
        Assert.Contains($"<code class=\"address\">{client.Split(':')[0]}</code>", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("any", "", "bad_proxy_header")]
    [InlineData("v1", V2, "bad_proxy_header")]
    [InlineData("v2", V1, "bad_proxy_header")]
    [InlineData("any", "PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n", "bad_proxy_header")]
    public async Task Without_a_good_one_the_connection_ends_without_a_response(string protocol, string header, string reason)
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, protocol, "127.0.0.0/8");
        foreach ((string address, _, _) in server.Listeners) await EndsAsync(address, header + Push, null);
        await server.WaitForClosedAsync(reason, 4);
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

        // On this machine, for itself: as the healthcheck does.
        using Client own = await Client.ConnectAsync(server.Plain, Local, null, isSplit: false);
        await own.SendAsync(Push);
        Assert.StartsWith("HTTP/1.1 307 ", await own.ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Half_a_header_ends_with_its_client_or_after_header_timeout()
    {
        await using var gateway = new RecordingGateway();
        using Edge server = await StartAsync(gateway.Address, "any", "127.0.0.0/8", "limits: { header_timeout: 1s }");
        await EndsAsync(server.Plain, V2[..14], null);
        await EndsAsync(server.Plain, V1[..14], SocketShutdown.Send);
        await EndsAsync(server.Https, V1[..14], null);
        await server.WaitForClosedAsync("bad_proxy_header", 3);
        await EndsAsync(server.Plain, "", SocketShutdown.Send);
        await server.WaitForClosedAsync("client_closed", 1);
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task Watchdog_and_healthcheck_need_no_trust(string protocol)
    {
        using ServiceManager manager = new();
        string address = FreePort.NextAddress(), admin = FreePort.NextAddress();
        string config = $$"""
            http_listen_addr: {{address}}
            admin_listen_addr: {{admin}}
            proxy_protocol: {{protocol}}
            trusted_proxies: [192.0.2.1]
            pushgateway: { servers: ["127.0.0.1:9091", "127.0.0.2:9091"], health_check: { enabled: false } }
            shutdown: { drain_delay: 0s }

            """;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config, admin, admin, manager.Environment(TimeSpan.FromSeconds(8)));
        await Eventually.TrueAsync(() => Task.FromResult(manager.TimesOf("WATCHDOG=1").Length >= 3), TimeSpan.FromSeconds(60), () => "three pings");
        Assert.DoesNotContain("data plane does not respond", server.Process.Output, StringComparison.Ordinal);
        using TemporaryFolder folder = new();
        string file = folder.Write("c.yml", config.Replace($"admin_listen_addr: {admin}", "admin_listen_addr: \"\"", StringComparison.Ordinal));
        Assert.Equal((0, $"http://{address}/-/ready: 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", file));
    }

    private async Task<Edge> StartAsync(string gateway, string protocol, string trusted, string more = "")
    {
        TestAuthority authority = new();
        authority.Issue("edge");
        string[] addresses = [.. Enumerable.Range(0, 5).Select(static _ => FreePort.NextAddress())];

        // Ready when the admin listener is: the data listeners do not speak to a client without a header.
        DynamicShardingProcess process = await TestPeers.DynamicShardingAsync(
            $$"""
            http_listen_addr: {{addresses[0]}}
            forward_listen_addr: {{addresses[1]}}
            https_listen_addr: {{addresses[2]}}
            forward_https_listen_addr: {{addresses[3]}}
            admin_listen_addr: {{addresses[4]}}
            tls: { cert_file: {{authority.Path("edge.pem")}}, key_file: {{authority.Path("edge.key")}} }
            pushgateway: { servers: ["{{gateway}}"], health_check: { enabled: false } }
            proxy_protocol: {{protocol}}
            trusted_proxies: [{{trusted}}]
            shutdown: { drain_delay: 0s }
            {{more}}

            """,
            addresses[4],
            addresses[4]);
        return new Edge(authority, process, addresses);
    }

    private sealed class Edge(TestAuthority authority, DynamicShardingProcess process, string[] addresses) : IDisposable
    {
        public TestAuthority Authority { get; } = authority;

        public DynamicShardingProcess Process { get; } = process;

        public string Plain { get; } = addresses[0];

        public string Https { get; } = addresses[2];

        public string Admin { get; } = addresses[4];

        public (string Address, bool IsTls, int Status)[] Listeners =>
            [(addresses[0], false, 307), (addresses[1], false, 200), (addresses[2], true, 307), (addresses[3], true, 200)];

        public Task<TimeSpan> WaitForClosedAsync(string reason, int count) => Eventually.TrueAsync(
            async () => await Process.MetricAsync($"dynamic_sharding_connections_closed_total{{reason=\"{reason}\"}}") >= count,
            TimeSpan.FromSeconds(30),
            () => $"not {count} connections closed as {reason}");

        public void Dispose() => Authority.Dispose();
    }

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

    private sealed class Client : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private Stream _stream = Stream.Null;

        public static async Task<Client> ConnectAsync(string address, string header, SslClientAuthenticationOptions? tls, bool isSplit)
        {
            Client client = new();
            await client._socket.ConnectAsync(IPEndPoint.Parse(address));
            byte[] bytes = Encoding.Latin1.GetBytes(header);
            for (int i = 0; isSplit && i < bytes.Length; i++)
            {
                await client._socket.SendAsync(bytes.AsMemory(i, 1));
                await Task.Delay(2);
            }

            // Otherwise in one segment with what follows, as far as the kernel does so.
            if (!isSplit) await client._socket.SendAsync(bytes);
            client._stream = new NetworkStream(client._socket);
            if (tls is null) return client;
            SslStream secure = new(client._stream);
            await secure.AuthenticateAsClientAsync(tls);
            client._stream = secure;
            return client;
        }

        public async Task SendAsync(string text) => await _stream.WriteAsync(Encoding.Latin1.GetBytes(text));

        public async Task<string> ReadHeadAsync()
        {
            var head = new StringBuilder();
            byte[] one = new byte[4096];
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while (!head.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                int count = await _stream.ReadAsync(one, limit.Token);
                Assert.NotEqual(0, count);
                head.Append(Encoding.Latin1.GetString(one, 0, count));
            }

            return head.ToString();
        }

        public void Dispose()
        {
            _stream.Dispose();
            _socket.Dispose();
        }
    }
}
