using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>How <c>groups</c> looks on a terminal (a real one, of script(1)), and what the configuration file keeps from deletion.</summary>
public sealed class GroupsTerminalTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    /// <summary>Back to the start of the line, and erase it. The carriage return ends a line of what the test reads.</summary>
    private const string Erase = "\n\u001b[K";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_line_shows_the_progress_on_a_terminal_and_nothing_of_it_goes_into_a_pipe()
    {
        (PushgatewayProcess[] gateways, string file) = await StartAsync("");
        await gateways[0].SendAsync(HttpMethod.Put, "/metrics/job/a", "v 1\n");
        string command = $"{Binary.Path} groups list --config.file {file}";
        string both = await RunAsync("script", "-qec", command, "/dev/null");
        Assert.Contains($"{Erase}reading {gateways[0].Address} (1 of 2)", both, StringComparison.Ordinal);
        Assert.Contains($"{Erase}pushed ", both, StringComparison.Ordinal);
        Assert.Contains("1 group, 1 copy on 2 gateways", both, StringComparison.Ordinal);

        // The result goes into a pipe; the terminal still has the line.
        string errors = await RunAsync("script", "-qec", command + " | cat >/dev/null", "/dev/null");
        Assert.Contains("reading " + gateways[0].Address, errors, StringComparison.Ordinal);
        Assert.True(errors.LastIndexOf(Erase, StringComparison.Ordinal) > errors.LastIndexOf("reading", StringComparison.Ordinal), errors);
        Assert.DoesNotContain("pushed", errors, StringComparison.Ordinal);

        string piped = await RunAsync("sh", "-c", command);
        Assert.DoesNotContain('\u001b', piped);
        Assert.DoesNotContain("reading", piped, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Excluded_groups_are_left_and_the_command_says_so()
    {
        (PushgatewayProcess[] gateways, string file) = await StartAsync("cleanup: { exclude: ['job=~\"manual_.*\"'] }\n");
        foreach (string job in new[] { "manual_1", "other" }) await gateways[0].SendAsync(HttpMethod.Put, "/metrics/job/" + job, "v 1\n");
        const string Reason = "{job=\"manual_1\"}: excluded by cleanup.exclude; groups delete --include-excluded deletes it, too";

        (int exitCode, string said) = await GroupsCommand.RunAsync("y", "delete", "--config.file", file, "--match", "job=~\".+\"");
        Assert.Equal(1, exitCode);
        Assert.Contains("1 copy of 1 group on 1 gateway\ndelete? [y/N] \n", said, StringComparison.Ordinal);
        Assert.EndsWith($"left on {gateways[0].Address}: {Reason}\n1 copy deleted, 1 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(gateways[0], "manual_1");

        // Nobody is asked about nothing.
        (exitCode, said) = await GroupsCommand.RunAsync(null, "delete", "--config.file", file, "--match", "job=\"manual_1\"");
        Assert.Equal((1, $"nothing to delete\nleft on {gateways[0].Address}: {Reason}\n0 copies deleted, 1 left\n"), (exitCode, said));
        (exitCode, said) = await GroupsCommand.RunAsync(null, "delete", "--config.file", file, "--match", "job=\"manual_1\"", "--yes", "--json");
        Assert.Equal(1, exitCode);
        Assert.Contains("\"reason\": \"excluded by cleanup.exclude; groups delete --include-excluded deletes it, too\"", said, StringComparison.Ordinal);

        (exitCode, said) = await GroupsCommand.RunAsync(null, "delete", "--config.file", file, "--match", "job=\"manual_1\"", "--yes", "--include-excluded");
        Assert.Equal(0, exitCode);
        Assert.EndsWith("1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(gateways[0]);
    }

    [Fact]
    public async Task What_the_server_excludes_is_left_without_its_file()
    {
        (PushgatewayProcess[] gateways, string _) = await StartAsync("");
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            pushgateway: { servers: [{{string.Join(", ", gateways.Select(gateway => $"\"{gateway.Address}\""))}}] }
            cleanup: { exclude: ['job=~"manual_.*"'] }

            """);
        foreach (string job in new[] { "manual_1", "other" }) await gateways[0].SendAsync(HttpMethod.Put, "/metrics/job/" + job, "v 1\n");
        string url = $"http://{server.AdminAddress}";
        (int exitCode, string said) = await GroupsCommand.RunAsync(null, "delete", "--url", url, "--match", "job=~\".+\"", "--yes");
        Assert.Equal(1, exitCode);
        Assert.EndsWith("deletes it, too\n1 copy deleted, 1 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(gateways[0], "manual_1");

        (exitCode, said) = await GroupsCommand.RunAsync(null, "delete", "--url", url, "--match", "job=~\".+\"", "--yes", "--include-excluded");
        Assert.Equal(0, exitCode);
        Assert.EndsWith("1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(gateways[0]);
    }

    [Fact]
    public async Task An_excluded_stale_copy_is_left()
    {
        (PushgatewayProcess[] gateways, string file) = await StartAsync("cleanup: { exclude: ['job=~\"manual_.*\"'] }\n");
        string[] jobs = [.. Enumerable.Range(0, 20).Select(i => $"manual_{i}")];
        foreach (string job in jobs) await gateways[0].SendAsync(HttpMethod.Put, "/metrics/job/" + job, "v 1\n");
        await Task.Delay(TimeSpan.FromSeconds(7));
        foreach (string job in jobs) await gateways[1].SendAsync(HttpMethod.Put, "/metrics/job/" + job, "v 1\n");
        (int exitCode, string said) = await GroupsCommand.RunAsync(null, "stale", "--config.file", file);
        Assert.Equal(0, exitCode);
        Assert.Contains("0 stale copies, 20 left", said, StringComparison.Ordinal);
        (exitCode, said) = await GroupsCommand.RunAsync(null, "delete", "--stale", "--config.file", file);
        Assert.Equal(0, exitCode);
        Assert.StartsWith("nothing to delete\nleft on ", said, StringComparison.Ordinal);
        Assert.Equal(jobs.Length, (await gateways[0].GroupsAsync()).Length);
    }

    private static Task WaitForJobsAsync(PushgatewayProcess gateway, params string[] jobs) =>
        CleanedGateways.WaitForGroupsAsync(gateway, jobs.Select(job => "job=" + job));

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        await using ChildProcess process = await ChildProcess.StartAsync(program, program, arguments, new Dictionary<string, string> { ["DOTNET_ROOT"] = Binary.DotnetRoot });
        Assert.Equal(0, await process.WaitForExitAsync(TimeSpan.FromSeconds(60)));
        return process.Output;
    }

    private async Task<(PushgatewayProcess[] Gateways, string File)> StartAsync(string more)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        return (gateways, _folder.Write("edge.yml", $"pushgateway: {{ servers: [{string.Join(", ", gateways.Select(gateway => $"\"{gateway.Address}\""))}] }}\n{more}"));
    }
}
