using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Proxies;
using DynamicSharding.FunctionalTests.Tls;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Commands that ask the wrong listener, or in the wrong way, say what to look at.</summary>
public sealed class WrongListenerTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Admin = "; is this the address of the admin listener (admin_listen_addr)? With admin.tls, use https://\n";
    private const string AdminTls =
        "; is this the address of the admin listener (admin_listen_addr), does it have TLS (admin.tls), and does this machine trust its certificate (SSL_CERT_FILE)?\n";

    private const string Plain = "; does this listener have TLS (https://), or proxy_protocol? --config.file takes what the server's file says\n";
    private const string Tls =
        "; does this listener have TLS, with a certificate that this machine trusts (SSL_CERT_FILE)? --config.file takes what the server's file says\n";

    private static readonly string[][] Commands = [["lookup", "/metrics/job/a"], ["simulate", "--add", "b"], ["groups", "list"]];

    [Fact]
    public async Task Plain_HTTP_to_a_port_with_TLS_and_the_other_way_round()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        foreach (string[] command in Commands)
        {
            await SaysAsync([.. command, "--url", $"http://{server.Https}"], $"http://{server.Https}/api/v1/status: ", Admin);
            await SaysAsync([.. command, "--url", $"https://{server.Https}"], $"https://{server.Https}/api/v1/status: ", AdminTls);
            await SaysAsync([.. command, "--url", $"https://{server.Process.AdminAddress}"], $"https://{server.Process.AdminAddress}/api/v1/status: ", AdminTls);
            await SaysAsync(
                [.. command, "--url", server.Process.Address],
                $"http://{server.Process.Address}/api/v1/status: ",
                "404, this is not an admin listener of dynamic-sharding; its port is that of admin_listen_addr\n");
        }

        await SaysAsync(["healthcheck", "--url", $"http://{server.Https}"], $"http://{server.Https}/-/ready: ", Plain);
        await SaysAsync(["healthcheck", "--url", $"https://{server.Https}"], $"https://{server.Https}/-/ready: ", Tls);
        await SaysAsync(["healthcheck", "--url", $"https://{server.Process.Address}"], $"https://{server.Process.Address}/-/ready: ", Tls);
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task A_listener_behind_a_proxy(string protocol)
    {
        await using var gateway = new RecordingGateway();
        using Edge edge = await Edge.StartAsync(TestPeers, gateway.Address, protocol, "192.0.2.1");
        foreach (string[] command in Commands) await SaysAsync([.. command, "--url", edge.Plain], $"http://{edge.Plain}/api/v1/status: ", Admin);
        await SaysAsync(["healthcheck", "--url", edge.Plain], $"http://{edge.Plain}/-/ready: ", Plain);

        // A file that is not the running server's.
        using TemporaryFolder folder = new();
        string file = folder.Write("c.yml", $"http_listen_addr: {edge.Plain}\nadmin_listen_addr: \"\"\npushgateway: {{ servers: [\"{gateway.Address}\"] }}\n");
        await SaysAsync(["healthcheck", "--config.file", file], $"http://{edge.Plain}/-/ready: ", "; does the server run with this file?\n");
    }

    private static async Task SaysAsync(string[] command, string begin, string end)
    {
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync(command);
        Assert.Equal(1, exitCode);
        Assert.StartsWith(begin, said, StringComparison.Ordinal);
        Assert.EndsWith(end, said, StringComparison.Ordinal);
        Assert.Single(said.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }
}
