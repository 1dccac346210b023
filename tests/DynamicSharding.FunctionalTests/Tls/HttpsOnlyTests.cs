using System.Net.Security;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary><c>http_listen_addr: ""</c>: what asks the plain listener elsewhere asks the one with TLS.</summary>
public sealed class HttpsOnlyTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(2);

    [Theory, Trait("Smoke", "true")]
    [InlineData("https_listen_addr", "")]
    [InlineData("forward_https_listen_addr", "")]
    [InlineData("https_listen_addr", "client_ca_file")]
    public async Task The_watchdog_the_healthcheck_and_the_page_work_without_a_plain_listener(string key, string clients)
    {
        using var authority = new TestAuthority();
        authority.Issue("edge").Issue("client");
        using ServiceManager manager = new();
        string address = FreePort.NextAddress(), admin = FreePort.NextAddress();
        string config = $$"""
            http_listen_addr: ""
            {{key}}: {{address}}
            admin_listen_addr: {{admin}}
            tls: { cert_file: {{authority.Path("edge.pem")}}, key_file: {{authority.Path("edge.key")}}{{(clients.Length > 0 ? $", {clients}: {authority.CaFile}" : "")}} }
            pushgateway: { servers: ["127.0.0.1:9091", "127.0.0.2:9091"], health_check: { enabled: false } }
            shutdown: { drain_delay: 0s }

            """;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config, admin, admin, manager.Environment(Period));
        SslClientAuthenticationOptions options = authority.Client(clients.Length > 0 ? "client" : null);
        using (RawHttp client = await RawHttp.ConnectTlsAsync(address, options))
        {
            await client.SendAsync("GET /metrics/job/a HTTP/1.1\r\nHost: e\r\n\r\n");
            Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        }

        // Each ping follows a probe of the listener that succeeded.
        await Eventually.TrueAsync(() => Task.FromResult(manager.TimesOf("WATCHDOG=1").Length >= 3), TimeSpan.FromSeconds(30), () => "three pings");
        using (HttpClient page = LoopbackHttp.Client(admin)) Assert.Contains(address, await page.GetStringAsync(""), StringComparison.Ordinal);
        (int code, string said) = await DynamicShardingProcess.RunAsync("lookup", "--url", $"http://{admin}", "/metrics/job/a");
        Output.WriteLine(said);
        Assert.Equal(0, code);

        // As in a container whose admin listener wants a password: the healthcheck asks the data listener.
        using TemporaryFolder folder = new();
        string file = folder.Write("c.yml", config.Replace($"admin_listen_addr: {admin}", "admin_listen_addr: \"\"", StringComparison.Ordinal));
        (code, said) = await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", file);
        if (clients.Length == 0) Assert.Equal((0, $"https://{address}/-/ready: 200 OK\n"), (code, said));
        else Assert.Contains("tls.client_ca_file", said, StringComparison.Ordinal);
        Assert.Equal(clients.Length == 0, code == 0);

        // A server with any other certificate is another server.
        if (clients.Length > 0) return;
        authority.Issue("other");
        folder.Write("c.yml", File.ReadAllText(file).Replace("/edge.", "/other.", StringComparison.Ordinal));
        (code, said) = await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", file);
        Assert.Equal(1, code);
        Assert.StartsWith($"https://{address}/-/ready: ", said, StringComparison.Ordinal);
    }
}
