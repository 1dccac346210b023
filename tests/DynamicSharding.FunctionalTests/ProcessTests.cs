using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Start and exit codes: 0 stopped by a signal, 1 startup failed, 2 bad flags or configuration.</summary>
public sealed class ProcessTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task A_bad_flag_is_exit_code_2()
    {
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("--no.such.flag");
        Assert.Equal(2, exitCode);
        Assert.Contains("--no.such.flag", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_named_and_exit_code_1()
    {
        DynamicShardingProcess first = await TestPeers.DynamicShardingAsync("pushgateway:\n  servers: [127.0.0.1]\n");
        using TemporaryFolder folder = new();
        string config = folder.Write(
            "dynamic-sharding.yml", $"http_listen_addr: {first.Address}\nadmin_listen_addr: \"\"\npushgateway:\n  servers: [127.0.0.1]\n");

        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("--config.file", config);

        Assert.Equal(1, exitCode);
        Assert.Contains(first.Address.Split(':')[1], said, StringComparison.Ordinal);
    }

    [Fact, Trait("Smoke", "true")]
    public async Task SIGTERM_lets_a_request_in_flight_finish_and_ends_with_0()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\nshutdown: { drain_delay: 0s, timeout: 30s }\n");
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        await connection.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: edge");
        await Task.Delay(TimeSpan.FromSeconds(1));

        server.Process.Terminate();
        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "msg=\"draining:");
        await connection.SendAsync(".test\r\n\r\n");

        RawResponse.ShouldBe(
            "HTTP/1.1 307 Temporary Redirect\r\nDate: {date}\r\nContent-Length: 0\r\n"
                + "Location: http://127.0.0.1:9091/metrics/job/a\r\nConnection: close\r\n\r\n",
            await connection.ReadToCloseAsync());
        Assert.Equal(0, await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task The_version_is_said_on_demand()
    {
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("--version");
        Assert.Equal(0, exitCode);
        Assert.Contains("0.", said, StringComparison.Ordinal);
    }
}
