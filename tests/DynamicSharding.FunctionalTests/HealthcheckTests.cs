using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary><c>dynamic-sharding healthcheck</c> and <c>check-config</c> next to a running server.</summary>
public sealed class HealthcheckTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Config = "pushgateway: { servers: [\"127.0.0.1:9091\", \"127.0.0.2:9091\"], health_check: { enabled: false } }\n";

    [Fact]
    public async Task A_ready_server_is_exit_code_0_and_one_line()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config);
        await server.WaitUntilReadyAsync();

        string url = $"http://{server.AdminAddress}/-/ready";
        Assert.Equal((0, url + ": 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--url", url));
        // Without a path the request is the same; user and password are not shown.
        Assert.Equal((0, url + ": 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--url", $"http://a:b@{server.AdminAddress}"));
        Assert.Equal((0, url + ": 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--url", server.AdminAddress));
        Assert.Equal((0, url + ": 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", server.ConfigFile));
        string healthy = $"http://{server.Address}/-/healthy";
        Assert.Equal((0, healthy + ": 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--url", healthy));
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("healthcheck", "--url", $"http://{server.AdminAddress}/no/such/page");
        Assert.Equal(1, exitCode);
        Assert.Contains(": 404", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_drains_is_exit_code_1_with_its_reason()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config + "shutdown: { drain_delay: 60s }\n");
        await server.WaitUntilReadyAsync();
        server.Process.Terminate();
        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "draining");

        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", server.ConfigFile, "--timeout", "10s");

        Assert.Equal((1, $"http://{server.AdminAddress}/-/ready: 503 shutting down\n"), (exitCode, said));
    }

    [Fact]
    public async Task Without_an_admin_listener_the_data_listener_is_asked()
    {
        string address = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($"http_listen_addr: {address}\nadmin_listen_addr: \"\"\n{Config}", address, address);
        await server.WaitUntilReadyAsync();
        Assert.Equal((0, $"http://{address}/-/ready: 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", server.ConfigFile));
    }

    [Fact]
    public async Task Nobody_there_nobody_who_answers_and_a_wrong_question_are_told_apart()
    {
        string address = FreePort.NextAddress();
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("healthcheck", "--url", $"http://{address}");
        Assert.Equal((1, $"http://{address}/-/ready: Connection refused\n"), (exitCode, said));

        using System.Net.Sockets.Socket silent = new(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        silent.Bind(System.Net.IPEndPoint.Parse(address));
        silent.Listen();
        (exitCode, said) = await DynamicShardingProcess.RunAsync("healthcheck", "--url", $"http://{address}", "--timeout", "500ms");
        Assert.Equal((1, $"http://{address}/-/ready: no response within 0.5 s\n"), (exitCode, said));

        Assert.Equal((2, "--url is not an http or https URL, nor host:port\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--url", "ftp://a"));
        Assert.Equal(2, (await DynamicShardingProcess.RunAsync("healthcheck", "--timeout", "soon")).ExitCode);
        Assert.Equal(2, (await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", "/no/such/file.yml")).ExitCode);
    }

    [Fact, Trait("Smoke", "true")]
    public async Task A_start_logs_the_warnings_that_check_config_prints()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway: { servers: [localhost, \"127.0.0.1:9091\"], health_check: { failures_before_critical: 1 } }\nmembership: { mass_loss_ratio: 1 }\n");

        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("check-config", server.ConfigFile);

        Assert.Equal(0, exitCode);
        string[] warnings = [.. said.Split('\n').Where(line => line.Contains(": warning: ", StringComparison.Ordinal))];
        Assert.Equal(4, warnings.Length); // and the drain_delay of every test
        Assert.All(warnings, warning => Assert.True(
            server.HasLogged("level=warn", "configuration warning", warning.Replace(": warning: ", ": ", StringComparison.Ordinal)), warning));
    }
}
