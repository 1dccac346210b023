using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary><c>dynamic-sharding groups</c> as an operator runs it: another process, its output and its exit code.</summary>
internal static class GroupsCommand
{
    /// <summary>Longer than the 30 s between two readings.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    /// <param name="answer">What is typed; null to end the input at once.</param>
    public static Task<(int ExitCode, string Output)> RunAsync(string? answer, params string[] arguments) =>
        RunWhileAsync(process => answer is null ? Task.CompletedTask : process.TellAsync(answer), arguments);

    /// <param name="meanwhile">What happens while it runs, before its input ends.</param>
    public static async Task<(int ExitCode, string Output)> RunWhileAsync(Func<ChildProcess, Task> meanwhile, params string[] arguments)
    {
        await using ChildProcess process = await ChildProcess.StartAsync(
            "dynamic-sharding groups", Binary.Path, ["groups", .. arguments], new Dictionary<string, string> { ["DOTNET_ROOT"] = Binary.DotnetRoot }, keepInput: true);
        await meanwhile(process);
        process.CloseInput();
        return (await process.WaitForExitAsync(Limit), process.Output);
    }

    public static Task<(int ExitCode, string Output)> GroupsAsync(this DynamicShardingProcess server, params string[] arguments) =>
        RunAsync(answer: null, [arguments[0], "--url", $"http://{server.AdminAddress}", .. arguments[1..]]);

    /// <summary>Lines that begin so or have this word in the column of what the copy is.</summary>
    public static IEnumerable<string> Rows(string output, string word) => output.Split('\n').Where(line => line.Split("  ", StringSplitOptions.RemoveEmptyEntries) is [_, _, var what, ..] && what.Trim() == word);

    public static IEnumerable<string> Left(string output) => output.Split('\n').Where(static line => line.StartsWith("left on ", StringComparison.Ordinal));
}
