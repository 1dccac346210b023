using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>Forwarding to gateways with <c>https</c>.</summary>
public sealed class UpstreamTlsTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Push = "DELETE /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData("another authority")]
    [InlineData("another host")]
    [InlineData("expired")]
    public async Task A_gateway_whose_certificate_is_not_good_gets_no_push(string what)
    {
        using var other = new TestAuthority("other");
        bool isExpired = what == "expired";
        _authority.Issue("gateway", fromDays: isExpired ? -5 : -1, toDays: isExpired ? -1 : 5);
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(
            gateway, ca: what == "another authority" ? other.CaFile : null, more: what == "another host" ? ", server_name: gateway.internal" : "");

        string reply = await server.ExchangeAsync(Push);

        Assert.Equal(502, ForwardServer.StatusOf(reply));
        Assert.Contains(gateway.Address, reply, StringComparison.Ordinal);
        Assert.True(gateway.Connections > 0, "it was not asked");
        Assert.Equal(0, gateway.Requests);
    }

    [Fact]
    public async Task The_same_gateway_with_a_good_one_gets_it()
    {
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(gateway);
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        Assert.Equal(1, gateway.Requests);
    }

    [Fact]
    public async Task Connections_are_kept()
    {
        const int Pushes = 50;
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(gateway);
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        for (int i = 0; i < Pushes; i++)
        {
            await client.SendAsync(Push);
            Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        }

        Assert.Equal((1, Pushes), (gateway.Connections, gateway.Requests));
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Len")]
    public async Task A_gateway_that_closes_before_its_head_is_whole_is_502(string response)
    {
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", response, closes: true);
        ForwardServer server = await StartAsync(gateway);
        Assert.Equal(502, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
    }

    /// <summary>An end without a close_notify is no end of content either: a third party could have made it.</summary>
    [Fact]
    public async Task A_gateway_that_closes_in_the_middle_of_its_content_is_never_a_whole_response()
    {
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", closes: true);
        ForwardServer server = await StartAsync(gateway);
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push);
        Exception end = await Assert.ThrowsAnyAsync<Exception>(() => client.ReadReplyAsync());
        Assert.True(end is IOException or SocketException { SocketErrorCode: SocketError.ConnectionReset }, end.ToString());
        Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"broken\"}}"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_gateway_that_asks_for_a_certificate_gets_the_configured_one(bool hasOne)
    {
        _authority.Issue("gateway").Issue("edge-client");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok, asksForCertificate: true);
        string own = $", cert_file: {_authority.Path("edge-client.pem")}, key_file: {_authority.Path("edge-client.key")}";
        ForwardServer server = await StartAsync(gateway, more: hasOne ? own : "");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        Assert.Equal(hasOne ? "CN=edge-client" : null, gateway.Subject);
    }

    private Task<ForwardServer> StartAsync(SecureGateway gateway, string? ca = null, string more = "") => ForwardServer.StartAsync(
        TestPeers, [gateway.Address], $$"""
              scheme: https
              health_check: { enabled: false }
              tls: { ca_file: {{ca ?? _authority.CaFile}}{{more}} }
            """);
}
