using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// Stops with a successor, under 5,000 requests a second on kept and fresh connections. tests/faults/handover.py runs it, so that
/// it can have its own network namespace, where a sysctl affects nothing else.
/// </summary>
[Collection(AloneGroup.Name)]
public sealed class HandoverTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>Of the 5,000: what a busy machine still achieves.</summary>
    private const int LeastRate = 4000;

    [Fact]
    public Task One_stop_with_an_inherited_socket_loses_no_request() => NoneIsLostAsync("inherited", "python3", stops: 1);

    [Fact, Trait("Category", "Slow")]
    public Task With_an_inherited_socket_no_request_is_lost() => NoneIsLostAsync("inherited", "python3");

    [Fact, Trait("Category", "Slow")]
    public Task With_SO_REUSEPORT_and_tcp_migrate_req_no_request_is_lost() => NoneIsLostAsync("reuse_port --migrate", "unshare -n python3");

    [Fact, Trait("Category", "Slow")]
    public Task With_SO_REUSEPORT_alone_no_request_is_lost() => NoneIsLostAsync("reuse_port", "unshare -n python3");

    [Fact, Trait("Category", "Slow")]
    public Task With_three_instances_on_the_port_no_request_is_lost() => NoneIsLostAsync("reuse_port --instances 3", "unshare -n python3");

    /// <summary>A rollback: the newer of two stops, which has the kernel's second position.</summary>
    [Fact]
    public Task When_the_newer_of_two_stops_no_request_is_lost_and_no_connection_waits() =>
        NoneIsLostAsync("reuse_port --leaves newest", "unshare -n python3", stops: 1, repeatsSyns: false);

    [Fact, Trait("Category", "Slow")]
    public Task When_the_newest_of_three_stops_again_and_again_no_connection_waits() =>
        NoneIsLostAsync("reuse_port --instances 2 --leaves newest", "unshare -n python3", repeatsSyns: false);

    [Fact, Trait("Category", "Slow")]
    public Task When_the_oldest_of_three_stops_again_and_again_no_connection_waits() =>
        NoneIsLostAsync("reuse_port --instances 2", "unshare -n python3", repeatsSyns: false);

    [Fact, Trait("Category", "Slow")]
    public Task When_two_of_three_stop_at_once_no_connection_waits() =>
        NoneIsLostAsync("reuse_port --leaves newest --at-once 2", "unshare -n python3", stops: 2, repeatsSyns: false, atOnce: 2);

    private async Task NoneIsLostAsync(string mode, string python, int stops = 3, bool repeatsSyns = true, int atOnce = 1)
    {
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/handover.py");
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        await using ChildProcess run = await ChildProcess.StartAsync(
            "handover.py", "sh", ["-c", $"exec {python} '{script}' '{Binary.Path}' {mode} --stops {stops} --drain 500ms"], environment);
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromMinutes(2)) == 0, run.Output);
        string json = Assert.Single(run.Output.Split('\n'), line => line.StartsWith('{'));
        Output.WriteLine(json);
        JsonElement result = JsonDocument.Parse(json).RootElement;
        Assert.True(result.GetProperty("exit_codes").EnumerateArray().Select(code => code.GetInt32()).SequenceEqual(Enumerable.Repeat(0, stops * atOnce)), json);
        Assert.True(result.GetProperty("rate").GetInt32() >= LeastRate, json);
        Assert.True(result.GetProperty("lost").GetInt32() == 0, json);
        Assert.True(result.GetProperty("late").GetInt32() == 0, json);

        // The kernel's count: an unaccepted SYN is repeated after a second. One of tens of thousands may come between the two system calls with which
        // a process ends the steering and leaves.
        if (!repeatsSyns) Assert.InRange(result.GetProperty("kernel").GetProperty("TCPSynRetrans").GetInt32(), 0, 1);
    }
}
