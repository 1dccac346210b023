using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>Handshakes that succeed, fail and stall: what the client sees, what is counted, and that the log stays quiet.</summary>
public sealed class HandshakeTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Lookup = "GET /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    [Theory, Trait("Smoke", "true")]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task With_client_ca_file_only_a_valid_certificate_of_that_authority_is_served(SslProtocols protocol)
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], tls: ", client_ca_file: @CA@");
        TestAuthority authority = server.Authority.Issue("expired", fromDays: -5, toDays: -1).Issue("later", fromDays: 2, toDays: 4);
        using var other = new TestAuthority();
        other.Issue("client");
        int before = server.Process.Process.Output.Length;

        await server.ServesAsync(authority.Client("client", protocols: protocol));
        foreach (string address in (string[])[server.Https, server.ForwardHttps])
        {
            await IsRefusedAsync(server, address, authority.Client(protocols: protocol));
            await IsRefusedAsync(server, address, authority.Client("expired", protocols: protocol));
            await IsRefusedAsync(server, address, authority.Client("later", protocols: protocol));
            await IsRefusedAsync(server, address, authority.Client("client", other, protocol));
        }

        await server.WaitForClosedAsync("tls_failed", 8);
        Assert.Equal(8, await server.ClosedAsync("tls_failed"));
        Assert.Single(gateway.Requests);
        await server.ServesAsync(authority.Client("client", protocols: protocol));
        IsQuiet(server, before);
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(20), "msg=\"TLS failed\" err=");
    }

    [Fact]
    public async Task A_session_that_is_resumed_is_of_the_same_client()
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway], tls: ", client_ca_file: @CA@");
        SslClientAuthenticationOptions options = server.Authority.Client("client");
        options.AllowTlsResume = true;
        for (int i = 0; i < 5; i++)
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(server.Https, Lookup, options), StringComparison.Ordinal);
        await IsRefusedAsync(server, server.Https, server.Authority.Client());
    }

    [Fact]
    public async Task Below_min_version_there_is_no_handshake()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], tls: ", min_version: TLS13");

        await server.ServesAsync(server.Authority.Client(protocols: SslProtocols.Tls13));
        await IsRefusedAsync(server, server.ForwardHttps, server.Authority.Client(protocols: SslProtocols.Tls12));
        await server.WaitForClosedAsync("tls_failed", 1);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Both_versions_are_served_by_default_and_no_older_one(SslProtocols protocol)
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp connection = await server.ConnectAsync(server.Https, server.Authority.Client(protocols: protocol));
        Assert.Equal(protocol, connection.Tls.SslProtocol);
        await server.ServesAsync(server.Authority.Client(protocols: protocol));
        await using ChildProcess old = await ChildProcess.StartAsync(
            "openssl", "openssl", ["s_client", "-connect", server.Https, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
        Assert.NotEqual(0, await old.WaitForExitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task A_client_that_does_not_trust_the_certificate_is_counted_and_not_logged()
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway]);
        using var other = new TestAuthority("another authority");
        int before = server.Process.Process.Output.Length;
        await using ChildProcess client = await ChildProcess.StartAsync("curl", "curl", ["--cacert", other.CaFile, $"https://{server.Https}/-/healthy"]);
        Assert.Equal(60, await client.WaitForExitAsync(TimeSpan.FromSeconds(20)));
        await server.WaitForClosedAsync("tls_failed", 1);
        IsQuiet(server, before);
    }

    /// <summary>One that sends nothing at all, and a thousand that stop anywhere within their first message, or behind it.</summary>
    [Fact]
    public async Task Handshakes_that_stall_end_after_header_timeout_and_the_others_are_served()
    {
        const int Stalled = 1000;
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { header_timeout: 8s }", logLevel: "info");
        byte[] hello = await HelloAsync();
        List<Socket> stalled = [];
        for (int i = 0; i <= Stalled; i++)
        {
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPEndPoint.Parse(i % 2 == 0 ? server.Https : server.ForwardHttps));
            if (i > 0) await socket.SendAsync(hello.AsMemory(0, hello.Length - ((i - 1) % hello.Length)));
            stalled.Add(socket);
            if (i % 50 == 0) await server.ServesAsync();
        }

        await server.ServesAsync();
        await server.WaitForClosedAsync("tls_failed", Stalled + 1);
        await server.ServesAsync();
        foreach (Socket socket in stalled) socket.Dispose();
        IsQuiet(server, 0);
    }

    [Fact]
    public async Task Plain_requests_on_a_TLS_port_end_their_connection()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        int before = server.Process.Process.Output.Length;
        foreach (string address in (string[])[server.Https, server.ForwardHttps])
        {
            using RawHttp connection = await RawHttp.ConnectAsync(address);
            string reply = await connection.ExchangeToEndAsync(ForwardServer.Put("/metrics/job/a"), TimeSpan.FromSeconds(20));
            Assert.DoesNotContain("HTTP", reply, StringComparison.Ordinal);
        }

        await server.WaitForClosedAsync("tls_failed", 2);
        Assert.Empty(gateway.Requests);
        await server.ServesAsync();
        IsQuiet(server, before);
    }

    [Fact]
    public async Task TLS_on_a_plain_port_is_refused_as_no_HTTP()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        int before = server.Process.Process.Output.Length;
        await Assert.ThrowsAsync<AuthenticationException>(() => server.ConnectAsync(server.Process.Address));
        await Assert.ThrowsAsync<AuthenticationException>(() => server.ConnectAsync(server.Forward));
        Assert.Equal(1, await server.Process.MetricAsync("dynamic_sharding_rejected_requests_total{reason=\"not_http\"}"));
        Assert.Equal(1, await server.Process.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"not_http\"}"));
        IsQuiet(server, before);
    }

    [Fact]
    public async Task A_client_that_connects_and_leaves_is_no_failure_of_TLS()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        double closed = await server.ClosedAsync("client_closed");
        for (int i = 0; i < 5; i++) (await RawHttp.ConnectAsync(server.Https)).Dispose();
        await Eventually.TrueAsync(
            async () => await server.ClosedAsync("client_closed") >= closed + 5, TimeSpan.FromSeconds(20), () => "five that left");
        Assert.Equal(0, await server.ClosedAsync("tls_failed"));
    }

    /// <summary>Changed bytes, bytes left out and bytes of another kind, anywhere in the first message and behind it.</summary>
    [Fact]
    public async Task Garbage_within_a_handshake_harms_nobody_else()
    {
        const int Attempts = 300;
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { header_timeout: 8s }", logLevel: "info");
        byte[] hello = await HelloAsync();
        var random = new Random(14);
        for (int i = 0; i < Attempts; i++)
        {
            byte[] bytes = [.. hello];
            for (int change = 0; change <= i % 4; change++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            var garbage = new byte[random.Next(2000)];
            random.NextBytes(garbage);
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPEndPoint.Parse(i % 2 == 0 ? server.Https : server.ForwardHttps));
            await socket.SendAsync(i % 3 == 0 ? hello : bytes);
            await socket.SendAsync(garbage);
            if (i % 20 == 0) await server.ServesAsync();
        }

        await server.ServesAsync();
        Assert.Equal(0, await server.ClosedAsync("io_error"));
        IsQuiet(server, 0);
    }

    [Fact]
    public async Task A_record_that_is_none_ends_an_established_connection()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPEndPoint.Parse(server.Https));
        await using NetworkStream stream = new(socket);
        await using SslStream secure = new(stream, leaveInnerStreamOpen: true);
        await secure.AuthenticateAsClientAsync(server.Authority.Client());
        await socket.SendAsync(new byte[] { 0x17, 3, 3, 0, 40 }.Concat(new byte[40]).ToArray());
        await server.WaitForClosedAsync("tls_failed", 1);
        await server.ServesAsync();
    }

    private static async Task IsRefusedAsync(TlsServer server, string address, SslClientAuthenticationOptions options)
    {
        // With TLS 1.3 a client learns of it when it reads.
        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(() => server.ExchangeAsync(address, Lookup, options));
        Assert.True(refusal is AuthenticationException or IOException, refusal.ToString());
    }

    private static void IsQuiet(TlsServer server, int from) => Assert.DoesNotContain(
        server.Process.Process.Output[from..].Split('\n'),
        line => !line.Contains("configuration warning", StringComparison.Ordinal)
            && (line.Contains("level=warn", StringComparison.Ordinal) || line.Contains("level=error", StringComparison.Ordinal)));

    /// <summary>A ClientHello, as a client of this framework sends it.</summary>
    private static async Task<byte[]> HelloAsync()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using TcpClient client = new();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using Socket accepted = await listener.AcceptSocketAsync();
        await using SslStream secure = new(client.GetStream());
        Task handshake = secure.AuthenticateAsClientAsync("127.0.0.1");
        byte[] bytes = new byte[4096];
        int count = await accepted.ReceiveAsync(bytes);
        client.Close();
        await handshake.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return bytes[..count];
    }
}
