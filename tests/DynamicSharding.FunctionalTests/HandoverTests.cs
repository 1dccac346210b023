using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// A stop with a successor, under 5,000 requests a second of keep-alive and fresh connections. tests/faults/handover.py drives it, so that
/// it can run in a network namespace of its own, where a sysctl is nobody else's.
/// </summary>
[Trait("Category", "Long")]
public sealed class HandoverTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task With_an_inherited_socket_no_request_is_lost() => Assert.Equal(0, await LostAsync("inherited", "python3"));

    [Fact]
    public async Task With_SO_REUSEPORT_and_tcp_migrate_req_hardly_a_request_is_lost()
    {
        // None is what is wanted. One of 30,000 was reset in one run of the whole suite, and its cause is not known, so this is a bound and
        // no proof; docs/operations.md has what was seen.
        Assert.InRange(await LostAsync("reuse_port --migrate", "unshare -n python3"), 0, 2);
    }

    [Fact]
    public async Task With_SO_REUSEPORT_alone_only_fresh_connections_can_be_reset()
    {
        // What waits in the closing listener's accept queue, or shakes hands with it, is reset; the figure is in docs/operations.md.
        int lost = await LostAsync("reuse_port", "unshare -n python3");
        Assert.True(lost < 50, $"{lost} lost");
    }

    private async Task<int> LostAsync(string mode, string python)
    {
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/handover.py");
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        await using ChildProcess run = await ChildProcess.StartAsync(
            "handover.py", "sh", ["-c", $"exec {python} '{script}' '{Binary.Path}' {mode} --seconds 8"], environment);
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromMinutes(2)) == 0, run.Output);
        string json = Assert.Single(run.Output.Split('\n'), line => line.StartsWith('{'));
        Output.WriteLine(json);
        JsonElement result = JsonDocument.Parse(json).RootElement;
        Assert.Equal(0, result.GetProperty("exit_code").GetInt32());
        Assert.True(result.GetProperty("answered").GetInt32() > 5000, json);
        return result.GetProperty("lost").GetInt32();
    }
}
