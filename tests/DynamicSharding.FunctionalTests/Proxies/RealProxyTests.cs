using System.Net;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Proxies;

/// <summary>Real proxies before all four data listeners, as docs/how-to.md has them: the edge knows the clients behind them.</summary>
public sealed class RealProxyTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string More = "forward: { x_forwarded_for: true }\nlog: { rejected_sample: 1000 }";
    private const string Wrong = "PUT /nowhere HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 0\r\n\r\n";

    /// <summary>Not the proxy's, which is 127.0.0.1.</summary>
    private static readonly IPAddress ClientAddress = IPAddress.Parse("127.0.0.9");

    [Theory]
    [InlineData("v1", "send-proxy")]
    [InlineData("v2", "send-proxy-v2")]
    [InlineData("any", "send-proxy-v2")]
    public async Task Haproxy(string protocol, string keyword)
    {
        await using var gateway = new RecordingGateway();
        using Edge edge = await Edge.StartAsync(TestPeers, gateway.Address, protocol, "127.0.0.1", More);
        await using HaproxyProcess proxy = await HaproxyProcess.StartAsync(
            edge.Listeners.Select(listener => $"{listener.Address} {keyword} check {(listener.IsTls ? "check-ssl verify none" : "")}"));

        // Its checks speak for the proxy: LOCAL in version 2, UNKNOWN or its own address in version 1.
        string[] checks = [];
        await Eventually.TrueAsync(
            async () => (checks = await proxy.ChecksAsync()).All(static check => check == "L7OK"), TimeSpan.FromSeconds(20), () => $"{string.Join(' ', checks)}\n{proxy.Output}");
        await PushAsync(edge, proxy.Fronts, gateway);
    }

    /// <summary>A check of its own port needs the keyword for its connections, too.</summary>
    [Fact]
    public async Task Haproxy_with_check_send_proxy()
    {
        await using var gateway = new RecordingGateway();
        using Edge edge = await Edge.StartAsync(TestPeers, gateway.Address, "any", "127.0.0.1", More);
        string port = edge.Plain.Split(':')[1];
        await using HaproxyProcess proxy = await HaproxyProcess.StartAsync(
            [$"{edge.Plain} send-proxy check port {port} check-send-proxy", $"{edge.Plain} send-proxy check port {port}"]);
        string[] checks = [];
        await Eventually.TrueAsync(
            async () => (checks = await proxy.ChecksAsync()) is ["L7OK", not ("" or "L7OK" or "INI")], TimeSpan.FromSeconds(20), () => $"{string.Join(' ', checks)}\n{proxy.Output}");
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("any")]
    public async Task Nginx(string protocol)
    {
        await using var gateway = new RecordingGateway();
        using Edge edge = await Edge.StartAsync(TestPeers, gateway.Address, protocol, "127.0.0.1", More);
        await using NginxProcess proxy = await NginxProcess.StartAsync(edge.Listeners.Select(static listener => listener.Address));
        await PushAsync(edge, proxy.Fronts, gateway);
    }

    /// <summary>As on a load balancer that preserves the addresses of its clients: the peer is not the proxy.</summary>
    [Fact]
    public async Task A_proxy_that_is_not_in_the_list_reaches_nothing()
    {
        await using var gateway = new RecordingGateway();
        using Edge edge = await Edge.StartAsync(TestPeers, gateway.Address, "any", "192.0.2.1", More);
        await using NginxProcess proxy = await NginxProcess.StartAsync(edge.Listeners.Select(static listener => listener.Address));
        foreach (string front in proxy.Fronts)
        {
            using RawHttp client = await RawHttp.ConnectAsync(front, ClientAddress);

            // Whether the proxy passes the end on as a close or as a reset is its own business.
            Assert.Equal("", await client.ExchangeToEndAsync(Wrong, TimeSpan.FromSeconds(20)));
        }

        await edge.WaitForClosedAsync("untrusted_proxy", 4);
    }

    private static async Task PushAsync(Edge edge, string[] fronts, RecordingGateway gateway)
    {
        foreach ((string front, (_, bool isTls, int status)) in fronts.Zip(edge.Listeners))
        {
            using RawHttp client = isTls
                ? await RawHttp.ConnectTlsAsync(front, edge.Authority.Client(), from: ClientAddress)
                : await RawHttp.ConnectAsync(front, ClientAddress);
            await client.SendAsync(ForwardServer.Put("/metrics/job/a"));
            Assert.Equal(status, ForwardServer.StatusOf(await client.ReadReplyAsync()));
            await client.SendAsync(Wrong);
            Assert.Equal(404, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        }

        Assert.Equal(2, gateway.Requests.Length);
        Assert.All(gateway.Requests, static request => Assert.Equal(ClientAddress.ToString(), request.Field("X-Forwarded-For")));
        await edge.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "request rejected (sampled)", "path=/nowhere", $"peer={ClientAddress}:");
        Assert.False(edge.Process.HasLogged("request rejected (sampled)", "peer=127.0.0.1:"));
        foreach (string reason in (string[])["bad_proxy_header", "untrusted_proxy"]) Assert.Equal(0, await edge.ClosedAsync(reason));
    }
}
