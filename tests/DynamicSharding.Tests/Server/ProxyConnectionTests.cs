using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Config;
using DynamicSharding.Server;
using DynamicSharding.Tests.Discovery;

namespace DynamicSharding.Tests.Server;

/// <summary>Connections that begin with a header of the PROXY protocol: their ends, and what is left of them for the next client.</summary>
public sealed class ProxyConnectionTests
{
    private const string Header = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 9292\r\n";
    private const string Wrong = "PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    private const string Push = "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n";

    /// <summary>A header that comes during a stop gives its connection no more time than a connection without one has.</summary>
    [Theory]
    [InlineData(false, "")]
    [InlineData(false, "PUT /metr")]
    [InlineData(true, "")]
    public async Task A_stop_does_not_wait_for_what_follows_a_header(bool isTls, string more)
    {
        await using RunningServer server = new(proxyProtocol: ProxyProtocol.Any, tls: isTls ? Tls : null);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Header[..10]);
        Assert.True(await RunningServer.UntilAsync(() => server.Server.OpenConnections == 1));
        server.Server.Drain();
        Task stop = server.StopAsync(TimeSpan.FromSeconds(60));
        await Task.Delay(TimeSpan.FromMilliseconds(300));
        await client.SendAsync(Header[10..] + more);
        await stop.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(0, server.Counters.Closed(CloseReason.Aborted));
    }

    [Fact]
    public async Task A_request_behind_a_header_that_comes_during_a_stop_is_served()
    {
        await using RunningServer server = new(proxyProtocol: ProxyProtocol.Any, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Header[..10]);
        Assert.True(await RunningServer.UntilAsync(() => server.Server.OpenConnections == 1));
        server.Server.Drain();
        Task stop = server.StopAsync(TimeSpan.FromSeconds(60));
        await client.SendAsync(Header[10..]);
        await Task.Delay(TimeSpan.FromMilliseconds(300));
        await client.SendAsync(Push);
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        client.Dispose();
        await stop.WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>The kernel hands out connections that were reset in the accept queue, and no longer knows their peer.</summary>
    [Fact]
    public async Task A_proxy_that_has_reset_its_connection_is_not_untrusted()
    {
        await using RunningServer server = new(proxyProtocol: ProxyProtocol.Any, starts: false);
        for (int i = 0; i < 5; i++)
        {
            using TestClient client = await server.ConnectAsync();
            if (i > 2) await client.SendAsync(Header);
            client.Socket.LingerState = new LingerOption(true, 0);
        }

        server.Server.Start();
        Assert.True(await server.ClosedAsync(CloseReason.Reset, 5));
        Assert.Equal(0, server.Counters.Closed(CloseReason.UntrustedProxy));
        Assert.Equal(0, server.Counters.Closed(CloseReason.BadProxyHeader));
    }

    [Fact]
    public async Task The_next_client_of_a_pooled_connection_is_nobody_but_itself()
    {
        await using RunningServer server = new(loops: 1, proxyProtocol: ProxyProtocol.Any);
        Connection? pooled = null;
        foreach ((string sent, string? peer) in ((string, string?)[])
            [(Header + Wrong, "192.0.2.7"), ("PROXY UNKNOWN\r\n" + Wrong, "127.0.0.1"), (Header[..20], null), (Header.Replace(".7 ", ".8 ", StringComparison.Ordinal) + Wrong, "192.0.2.8"), ("GET / HTTP/1.1\r\n\r\n", null)])
        {
            Dictionary<string, long> before = server.TopRejects.Peers.ToDictionary(static pair => pair.Peer, static pair => pair.Count);
            using (TestClient client = await server.ConnectAsync())
            {
                await client.SendAsync(sent);
                if (peer is not null) Assert.Equal(404, (await client.ReadAsync())!.Status);
                else client.Socket.Shutdown(SocketShutdown.Send);
                if (peer is null) await EndsAsync(client);
            }

            Assert.True(await server.EmptyAsync());
            Assert.Equal(
                peer is null ? [] : [peer],
                server.TopRejects.Peers.Where(pair => pair.Count != before.GetValueOrDefault(pair.Peer)).Select(static pair => pair.Peer));
            Connection now = await Insides.PooledAsync(server.Server);
            Assert.Same(pooled ??= now, now);
            Assert.Equal([null, null, null], ((string[])["_gate", "_tls", "_source"]).Select(name => Insides.Field<object?>(now, name)));
        }
    }

    [Theory]
    [InlineData(Header, "192.0.2.7")]
    [InlineData("PROXY UNKNOWN\r\n", "127.0.0.1")]
    [InlineData("", "127.0.0.1")]
    public async Task A_connection_over_the_limit_shows_its_client(string header, string peer)
    {
        using LogCapture log = new();
        await using RunningServer server = new(limits: new LimitOptions { MaxConnections = 1 }, loops: 1, loggers: log, proxyProtocol: ProxyProtocol.Any, starts: false);
        using TestClient first = await server.ConnectAsync(), second = await server.ConnectAsync();
        await first.SendAsync("PROXY");
        await second.SendAsync(header + Push);
        server.Server.Start();
        Assert.Equal(503, (await second.ReadAsync())!.Status);
        Assert.True(await RunningServer.UntilAsync(() => server.TopRejects.Peers.Count > 0)); // counted after it is sent
        Assert.Equal([(peer, 1)], server.TopRejects.Peers);

        // Another thread writes the line.
        string[] lines = [];
        Assert.True(await RunningServer.UntilAsync(() => (lines = [.. log.Lines().Where(static line => line.Contains("(sampled)", StringComparison.Ordinal))]).Length > 0));
        string line = Assert.Single(lines);
        Assert.Contains(header.Length == 0 ? "method= path= " : "method=PUT path=/metrics/job/a ", line, StringComparison.Ordinal);
    }

    /// <summary>Without a response. What is not read makes the close a reset.</summary>
    private static async Task EndsAsync(TestClient client)
    {
        try
        {
            Assert.Equal("", await client.ReadToEndAsync());
        }
        catch (SocketException e)
        {
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        }
    }

    public static SslServerAuthenticationOptions Tls() => new() { ServerCertificate = Certificate.Value };

    private static readonly Lazy<X509Certificate2> Certificate = new(static () =>
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=edge.test", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    });
}
