using System.Diagnostics;
using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>SIGTERM: not ready but serving for the drain delay, then the exit; a second signal ends the process at once.</summary>
public sealed class GracefulStopTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    [Fact]
    public async Task For_the_drain_delay_every_push_is_answered_and_every_answer_closes()
    {
        DynamicShardingProcess server = await StartAsync(drainDelay: "10s");
        server.Process.Terminate();
        await Eventually.TrueAsync(
            async () => await server.StatusCodeOfAsync("-/ready") == HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(20), () => "still ready");
        long start = Stopwatch.GetTimestamp();

        int answers = 0;
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(2))
        {
            using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
            await connection.SendAsync(Put);
            string reply = await connection.ReadReplyAsync();
            Assert.StartsWith("HTTP/1.1 307 ", reply, StringComparison.Ordinal);
            Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
            answers++;
        }

        Assert.Equal(0, await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(40)));
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 2, 40);
        Assert.True(answers > 10, $"{answers} answers in two seconds");
    }

    [Fact]
    public async Task A_second_signal_exits_at_once()
    {
        DynamicShardingProcess server = await StartAsync(drainDelay: "60s");
        server.Process.Terminate();
        await Eventually.TrueAsync(
            async () => await server.StatusCodeOfAsync("-/ready") == HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(20), () => "still ready");
        long start = Stopwatch.GetTimestamp();
        server.Process.Terminate();
        await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(30));
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30));
    }

    [Fact]
    public Task A_storm_of_SIGHUP_during_a_stop_does_not_change_its_exit_code() => StormAsync(rounds: 5);

    [Fact, Trait("Category", "Slow")]
    public Task A_storm_of_SIGHUP_during_twenty_stops_changes_no_exit_code() => StormAsync(rounds: 20);

    /// <summary>Continuous SIGHUP, from before the stop to the end of the process.</summary>
    private async Task StormAsync(int rounds)
    {
        for (int round = 0; round < rounds; round++)
        {
            DynamicShardingProcess server = await StartAsync(drainDelay: "100ms");
            using CancellationTokenSource over = new();
            Task storm = Task.Run(() =>
            {
                while (!over.IsCancellationRequested && !server.Process.HasExited) server.Process.Hangup();
            });
            await Task.Delay(50);
            server.Process.Terminate();
            int? exitCode = await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(30));
            await over.CancelAsync();
            await storm;
            Assert.True(exitCode == 0, $"round {round}: exit code {exitCode}\n{server.Process.Output}");
        }
    }

    private async Task<DynamicShardingProcess> StartAsync(string drainDelay)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\nshutdown: { drain_delay: " + drainDelay + ", timeout: 5s }\n");
        await server.WaitUntilReadyAsync();
        return server;
    }
}
