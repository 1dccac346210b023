using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Who may do what at the admin listener, from which address and under which name: in a network of its own, with real requests.</summary>
public sealed class AdminReachTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public Task A_reload_over_HTTP_without_users_is_for_this_machine_unless_enable_lifecycle() => RunAsync("reload");

    [Fact]
    public Task Names_that_are_not_this_server_s_get_metrics_and_health_only() => RunAsync("hosts");

    [Fact]
    public Task Healthcheck_asks_both_families() => RunAsync("ipv6");

    [Fact]
    public Task A_peer_from_elsewhere_that_is_no_trusted_proxy_is_closed_whatever_it_sends() => RunAsync("proxy");

    private async Task RunAsync(string mode)
    {
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/admin_reach.py");
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        await using ChildProcess run = await ChildProcess.StartAsync(
            "admin_reach.py", "unshare", ["-n", "python3", script, Binary.Path, mode], environment);
        int exitCode = await run.WaitForExitAsync(TimeSpan.FromMinutes(2));
        Output.WriteLine(run.Output);
        Assert.True(exitCode == 0, run.Output);
    }
}
