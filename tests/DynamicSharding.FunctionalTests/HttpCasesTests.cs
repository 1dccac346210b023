using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// The conformance and attack cases in tests/http, each sent whole and in pieces, to a server that logs as in production: only
/// then does a batch of responses continue after a rejection. No response may be followed by a reset.
/// </summary>
public sealed class HttpCasesTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task All_cases_of_the_catalogue_pass()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\n", logLevel: "info");
        await server.WaitUntilReadyAsync();
        string folder = Path.Combine(Binary.RepositoryRoot, "tests/http");
        string[] address = server.Address.Split(':');
        await using ChildProcess runner = await ChildProcess.StartAsync(
            "runner.py",
            "python3",
            [Path.Combine(folder, "runner.py"), address[0], address[1], Path.Combine(folder, "cases.json"), "--split", "--jobs", "40"]);

        int exitCode = await runner.WaitForExitAsync(TimeSpan.FromMinutes(8));

        Output.WriteLine(runner.Output);
        Assert.False(server.Process.HasExited, server.Process.Output);
        Assert.True(exitCode == 0, runner.Output);
        Assert.DoesNotContain("warning: RST", runner.Output, StringComparison.Ordinal);
    }
}
