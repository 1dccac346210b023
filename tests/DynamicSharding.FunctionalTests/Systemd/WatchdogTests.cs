using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>The watchdog is notified only while the data plane works.</summary>
public sealed class WatchdogTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Ping = "WATCHDOG=1";
    private const string Config = "pushgateway: { servers: [\"127.0.0.1:9091\"], health_check: { enabled: false } }\n";

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task It_is_told_twice_in_its_period_each_time_after_a_lookup_by_the_listener_and_every_loop()
    {
        using ServiceManager manager = new();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config, manager.Environment(Period));
        double atStart = await server.MetricAsync("dynamic_sharding_requests_total{method=\"get\",code=\"200\"}");
        int pingsAtStart = Pings(manager);

        await WaitForPingsAsync(manager, pingsAtStart + 8);

        // The first comes at once. The machine may be busy, so check the median, not every interval.
        long[] times = manager.TimesOf(Ping);
        double[] pauses = [.. times.Zip(times.Skip(1), (a, b) => Stopwatch.GetElapsedTime(a, b).TotalSeconds).Order()];
        Assert.InRange(pauses[pauses.Length / 2], 0.9, 1.9);

        // The health checks at the start of this test are GETs too, but they all come before the first reading.
        int pings = Pings(manager) - pingsAtStart;
        double requests = await server.MetricAsync("dynamic_sharding_requests_total{method=\"get\",code=\"200\"}") - atStart;
        int lookups = (Environment.ProcessorCount + 1) * (pings - 1);
        Assert.True(requests >= lookups, $"{requests} requests for {pings} pings");
    }

    [Fact, Trait("Smoke", "true")]
    public async Task One_loop_that_hangs_silences_it_until_the_loop_goes_on()
    {
        using ServiceManager manager = new();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config, manager.Environment(Period));
        await WaitForPingsAsync(manager, 1);

        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/hold_thread.py");
        await using ChildProcess holder = await ChildProcess.StartAsync(
            "hold_thread.py", "python3", [script, server.Process.Pid.ToString(CultureInfo.InvariantCulture), "loop-0"], keepInput: true);
        await holder.WaitUntilReadyAsync(() => Task.FromResult(holder.Output.Contains("held", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));
        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "level=error", "data plane does not respond", "event loop 0 does not respond");
        int silentAt = Pings(manager);
        await Task.Delay(Period);
        Assert.Equal(silentAt, Pings(manager));

        holder.CloseInput();
        await WaitForPingsAsync(manager, silentAt + 1);
        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "level=info", "data plane responds again");
    }

    [Fact]
    public async Task A_listening_socket_that_is_dead_silences_it_because_the_process_ends_itself()
    {
        using ServiceManager manager = new();
        await using KeptSocket socket = await KeptSocket.StartAsync(Config + "shutdown: { drain_delay: 0s }\n", manager.Environment(Period));
        await WaitForPingsAsync(manager, 1);

        await socket.ShutDownAsync();

        await Eventually.TrueAsync(
            () => Task.FromResult(socket.Process.Output.Contains("msg=stopped", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(20),
            () => "the end of the process:\n" + socket.Process.Output);
        int silentAt = Pings(manager);
        await Task.Delay(Period);
        Assert.Equal(silentAt, Pings(manager));
        Assert.Contains("listening socket failed, stopping", socket.Process.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_full_is_not_taken_for_one_that_hangs()
    {
        using ServiceManager manager = new();
        await using KeptSocket socket = await KeptSocket.StartAsync(
            Config + "limits: { max_connections: 1 }\nshutdown: { drain_delay: 0s }\n", manager.Environment(Period));
        await Eventually.TrueAsync(
            async () =>
            {
                // The fixture's client holds the only place; every other connection is rejected.
                using RawHttp other = await RawHttp.ConnectAsync(socket.Address);
                await other.SendAsync("GET /-/healthy HTTP/1.1\r\nHost: edge\r\n\r\n");
                return (await other.ReadToCloseAsync()).StartsWith("HTTP/1.1 503 ", StringComparison.Ordinal);
            },
            TimeSpan.FromSeconds(20),
            () => "a refused connection");

        // Each ping follows a probe that succeeded.
        await WaitForPingsAsync(manager, Pings(manager) + 2);
    }

    [Fact]
    public async Task It_is_not_told_by_a_process_that_it_does_not_watch()
    {
        using ServiceManager manager = new();
        Dictionary<string, string> environment = manager.Environment(TimeSpan.FromMilliseconds(200));
        environment["WATCHDOG_PID"] = "1";
        await TestPeers.DynamicShardingAsync(Config, environment);
        await manager.WaitForAsync(text => text.StartsWith("READY=1", StringComparison.Ordinal), "the start");
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.Equal(0, Pings(manager));
    }

    private static int Pings(ServiceManager manager) => manager.TimesOf(Ping).Length;

    private static Task<TimeSpan> WaitForPingsAsync(ServiceManager manager, int count) => Eventually.TrueAsync(
        () => Task.FromResult(Pings(manager) >= count), TimeSpan.FromSeconds(30), () => $"{count} pings; heard {Pings(manager)}");
}
