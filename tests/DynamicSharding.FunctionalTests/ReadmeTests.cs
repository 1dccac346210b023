using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Runs the README's first command and its curl, and compares the response with the one shown.</summary>
[Collection(AloneGroup.Name)]
public sealed partial class ReadmeTests(ITestOutputHelper output) : PeerTest(output)
{
    [Theory, Trait("Category", "Slow")]
    [InlineData("README.md")]
    [InlineData("README.zh-CN.md")]
    public async Task The_first_command_gives_the_answer_that_is_shown(string readme)
    {
        string[] blocks = [.. CodeBlock().Matches(await File.ReadAllTextAsync(Path.Combine(Binary.RepositoryRoot, readme))).Select(m => m.Groups[1].Value)];
        string run = Assert.Single(blocks, block => block.StartsWith("dotnet run ", StringComparison.Ordinal)).Trim();
        string curl = Assert.Single(blocks, block => block.StartsWith("curl ", StringComparison.Ordinal)).Trim();
        string shown = Assert.Single(blocks, block => block.StartsWith("HTTP/1.1 307 ", StringComparison.Ordinal));

        await using ChildProcess server = await BashAsync("the README's first command", run);
        string answer = "";
        TimeSpan took = await Eventually.TrueAsync(
            async () =>
            {
                Assert.False(server.HasExited, server.Output);
                await using ChildProcess client = await BashAsync("curl", curl + " 2>/dev/null");
                if (await client.WaitForExitAsync(TimeSpan.FromSeconds(30)) != 0) return false;
                answer = client.Output;
                return true;
            },
            TimeSpan.FromMinutes(4),
            () => server.Output);

        Output.WriteLine($"{readme}: from the command to the answer {took.TotalSeconds:0.0} s, with the build");
        Assert.Equal(WithoutDate(shown), WithoutDate(answer));
        server.Terminate();
        await server.WaitForExitAsync(TimeSpan.FromSeconds(60));
    }

    private static Task<ChildProcess> BashAsync(string name, string command) =>
        ChildProcess.StartAsync(name, "bash", ["-c", $"cd '{Binary.RepositoryRoot}' && exec {command}"]);

    private static string WithoutDate(string reply) => DateField().Replace(reply.ReplaceLineEndings("\n"), "Date: now").Trim();

    [GeneratedRegex("^```\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex CodeBlock();

    [GeneratedRegex("^Date: .*$", RegexOptions.Multiline)]
    private static partial Regex DateField();
}
