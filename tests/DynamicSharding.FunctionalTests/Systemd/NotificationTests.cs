using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>The notifications of a real process from start to exit (sd_notify(3)).</summary>
public sealed class NotificationTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string OneGateway = "pushgateway: { servers: [\"127.0.0.1:9091\"], health_check: { enabled: false } }\n";
    private const string TwoGateways = "pushgateway: { servers: [\"127.0.0.1:9091\", \"127.0.0.2:9091\"], health_check: { enabled: false } }\n"
        + "membership: { settle: 0s, admit_after: 0s }\n";

    [Fact, Trait("Smoke", "true")]
    public async Task Start_reload_and_stop_are_told_in_order()
    {
        using ServiceManager manager = new();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(OneGateway, manager.Environment());
        string ready = $"ready; members 1, ring {await server.FingerprintAsync()}";
        await manager.WaitForAsync(text => text.EndsWith("STATUS=" + ready, StringComparison.Ordinal), "the status of a ready server");
        Assert.StartsWith("READY=1\nSTATUS=", manager.Heard[0], StringComparison.Ordinal);

        // A valid file.
        int heard = manager.Heard.Length;
        long before = Stopwatch.GetTimestamp();
        server.WriteConfig(TwoGateways);
        server.Process.Hangup();
        await manager.WaitForAsync(text => text.StartsWith("READY=1\n", StringComparison.Ordinal), "the end of the reload", heard);
        long after = Stopwatch.GetTimestamp();
        string[] lines = manager.Heard[heard].Split('\n');
        Assert.Equal("RELOADING=1", lines[0]);
        Assert.StartsWith("MONOTONIC_USEC=", lines[1], StringComparison.Ordinal);
        // Stopwatch ticks are nanoseconds of CLOCK_MONOTONIC here, which is one clock for all processes.
        long microseconds = long.Parse(lines[1]["MONOTONIC_USEC=".Length..], CultureInfo.InvariantCulture);
        Assert.InRange(microseconds, before / 1000, after / 1000);
        await server.WaitForMembersAsync(["127.0.0.1:9091", "127.0.0.2:9091"], TimeSpan.FromSeconds(20));
        string two = $"ready; members 2, ring {await server.FingerprintAsync()}";
        await manager.WaitForAsync(text => text.EndsWith("STATUS=" + two, StringComparison.Ordinal), "the new ring", heard);

        // An invalid one: ready again, and the status says that the reload failed.
        heard = manager.Heard.Length;
        server.WriteConfig("pushgateway: { servers: [\"a b\"] }\n");
        server.Process.Hangup();
        string failed = "READY=1\nSTATUS=" + two + "; the last reload failed, the configuration before it is in force";
        await manager.WaitForAsync(text => text == failed, failed, heard);
        Assert.StartsWith("RELOADING=1\nMONOTONIC_USEC=", manager.Heard[heard], StringComparison.Ordinal);

        server.Process.Terminate();
        Assert.Equal(0, await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        await manager.WaitForAsync(static text => text.StartsWith("STOPPING=1\n", StringComparison.Ordinal), "the stop");
        Assert.Equal("STOPPING=1\nSTATUS=stopping: draining\nEXTEND_TIMEOUT_USEC=20000000", manager.Heard[^1]);
    }

    [Fact]
    public async Task A_reload_by_the_admin_listener_is_told_too()
    {
        using ServiceManager manager = new(isAbstract: true);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(OneGateway, manager.Environment());
        await manager.WaitForAsync(text => text.StartsWith("READY=1\n", StringComparison.Ordinal), "the start");
        int heard = manager.Heard.Length;

        await server.ReloadAsync();

        await manager.WaitForAsync(text => text.StartsWith("READY=1\n", StringComparison.Ordinal), "the end of the reload", heard);
        Assert.Contains(manager.Heard.Skip(heard), text => text.StartsWith("RELOADING=1\n", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("nonsense", "neither a path nor an abstract name")]
    [InlineData("/no/such/folder/notify", "/no/such/folder/notify")]
    [InlineData("vsock:2:1234", "neither a path nor an abstract name")]
    [InlineData("/too/long/////////////////////////////////////////////////////////////////////////////////////////////////////////", "108")]
    public async Task A_notification_socket_that_is_none_is_a_warning(string name, string said)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(OneGateway, new Dictionary<string, string> { ["NOTIFY_SOCKET"] = name });
        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "level=warn", "sd_notify failed", said);
        Assert.Equal("127.0.0.1:9091", await server.OwnerOfAsync("/metrics/job/a"));
        server.Process.Terminate();
        Assert.Equal(0, await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        Assert.Single(server.Process.Output.Split('\n'), line => line.Contains("sd_notify failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_start_that_fails_is_told_with_its_reason()
    {
        DynamicShardingProcess first = await TestPeers.DynamicShardingAsync(OneGateway);
        using ServiceManager manager = new();
        using TemporaryFolder folder = new();
        string config = folder.Write("c.yml", $"http_listen_addr: {first.Address}\nadmin_listen_addr: \"\"\n{OneGateway}");

        (int exitCode, _) = await DynamicShardingProcess.RunAsync(["--config.file", config], manager.Environment());

        Assert.Equal(1, exitCode);
        await manager.WaitForAsync(
            text => text.StartsWith($"STATUS=could not start: cannot listen on {first.Address}", StringComparison.Ordinal), "the reason");
        Assert.DoesNotContain(manager.Heard, text => text.StartsWith("READY=1", StringComparison.Ordinal));
    }
}
