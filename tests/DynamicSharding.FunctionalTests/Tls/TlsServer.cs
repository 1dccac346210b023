using System.Net.Security;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>A server with all four data listeners, and the authority of its certificate <c>edge</c>.</summary>
internal sealed class TlsServer : IDisposable
{
    private TlsServer(TestAuthority authority, DynamicShardingProcess process, string forward, string https, string forwardHttps)
    {
        Authority = authority;
        Process = process;
        Forward = forward;
        Https = https;
        ForwardHttps = forwardHttps;
    }

    public TestAuthority Authority { get; }

    public DynamicShardingProcess Process { get; }

    /// <summary><c>host:port</c>.</summary>
    public string Forward { get; }

    public string Https { get; }

    public string ForwardHttps { get; }

    /// <param name="peers">Stops the server at the end of the test.</param>
    /// <param name="gateways">Members without probes.</param>
    /// <param name="tls">More of that section.</param>
    /// <param name="more">More lines of the file.</param>
    public static async Task<TlsServer> StartAsync(
        TestPeers peers, IEnumerable<string> gateways, string tls = "", string more = "", string logLevel = "debug", string pushgateway = "health_check: { enabled: false }")
    {
        TestAuthority authority = new();
        authority.Issue("edge").Issue("client");
        string forward = FreePort.NextAddress(), https = FreePort.NextAddress(), forwardHttps = FreePort.NextAddress();
        DynamicShardingProcess process = await peers.DynamicShardingAsync(
            $$"""
            https_listen_addr: {{https}}
            forward_listen_addr: {{forward}}
            forward_https_listen_addr: {{forwardHttps}}
            tls: { cert_file: {{authority.Path("edge.pem")}}, key_file: {{authority.Path("edge.key")}}{{tls.Replace("@CA@", authority.CaFile, StringComparison.Ordinal)}} }
            pushgateway: { servers: [{{string.Join(", ", gateways.Select(gateway => $"\"{gateway}\""))}}], {{pushgateway}} }
            {{more}}

            """,
            logLevel: logLevel);
        await process.WaitUntilReadyAsync();
        return new TlsServer(authority, process, forward, https, forwardHttps);
    }

    public Task<RawHttp> ConnectAsync(string address, SslClientAuthenticationOptions? options = null, Delivery delivery = Delivery.Whole) =>
        RawHttp.ConnectTlsAsync(address, options ?? Authority.Client(), delivery);

    public async Task<string> ExchangeAsync(string address, string request, SslClientAuthenticationOptions? options = null)
    {
        using RawHttp connection = await ConnectAsync(address, options);
        await connection.SendAsync(request);
        return await connection.ReadReplyAsync();
    }

    /// <summary>A push to the forward listener with TLS is relayed.</summary>
    public async Task ServesAsync(SslClientAuthenticationOptions? options = null) =>
        Assert.Equal(200, ForwardServer.StatusOf(await ExchangeAsync(ForwardHttps, ForwardServer.Put("/metrics/job/serves"), options)));

    public Task<double> ClosedAsync(string reason) => Process.MetricAsync($"dynamic_sharding_connections_closed_total{{reason=\"{reason}\"}}");

    public Task WaitForClosedAsync(string reason, int count) => Eventually.TrueAsync(
        async () => await ClosedAsync(reason) >= count, TimeSpan.FromSeconds(30), () => $"not {count} connections closed as {reason}");

    public void Dispose() => Authority.Dispose();
}
