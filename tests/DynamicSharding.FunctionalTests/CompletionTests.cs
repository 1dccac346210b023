using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests;

/// <summary>The completion of fish and zsh, by the shells themselves. (packaging/test-deb.sh tests that of bash.)</summary>
public sealed class CompletionTests
{
    private static readonly string Completions = Path.Combine(Binary.RepositoryRoot, "packaging/completions");

    [Theory]
    [InlineData("check", "check-config")]
    [InlineData("--log.l", "--log.level")]
    [InlineData("--log.level=d", "--log.level=debug")]
    [InlineData("--log.level d", "--log.level debug")]
    [InlineData("lookup --rep", "lookup --replicas")]
    [InlineData("--config.file x --log.f", "--config.file x --log.format")]
    [InlineData("check-config /etc/hostn", "check-config /etc/hostname")]
    public async Task Zsh_completes_commands_flags_values_and_files(string typed, string completed) =>
        Assert.Equal(completed, await RunAsync("python3", Path.Combine(Binary.RepositoryRoot, "tests/completion/zsh.py"), Completions, "dynamic-sharding " + typed));

    [Theory]
    [InlineData("check", "check-config")]
    [InlineData("--log.", "--log.format --log.level")]
    [InlineData("--log.level=d", "--log.level=debug")]
    [InlineData("--log.level d", "debug")]
    [InlineData("simulate --keys", "--keys --keys.file")]
    [InlineData("--config.file x --log.f", "--log.format")]
    [InlineData("check-config /etc/hostn", "/etc/hostname")]
    public async Task Fish_completes_commands_flags_values_and_files(string typed, string words)
    {
        string script = $"source {Completions}/dynamic-sharding.fish; complete -C 'dynamic-sharding {typed}'";
        string said = await RunAsync("fish", "--no-config", "-c", script);
        Assert.Equal(words, string.Join(' ', said.Split('\n').Select(line => line.Split('\t')[0])));
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        var environment = new Dictionary<string, string>
        {
            ["PATH"] = $"{Path.GetDirectoryName(Binary.Path)}:{Environment.GetEnvironmentVariable("PATH")}",
            ["DOTNET_ROOT"] = Binary.DotnetRoot,
        };
        await using ChildProcess process = await ChildProcess.StartAsync(program, program, arguments, environment);
        int exitCode = await process.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.True(exitCode == 0, process.Output);
        return process.Output.TrimEnd();
    }
}
