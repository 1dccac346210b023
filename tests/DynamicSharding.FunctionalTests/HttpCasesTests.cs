using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The catalogue of conformance and attack cases in tests/http, each sent whole and in pieces.</summary>
public sealed class HttpCasesTests(OneGatewayServer shared, ITestOutputHelper output) : IClassFixture<OneGatewayServer>
{
    [Fact, Trait("Category", "Long")]
    public async Task All_cases_of_the_catalogue_pass()
    {
        string folder = Path.Combine(Binary.RepositoryRoot, "tests/http");
        string[] address = shared.Server.Address.Split(':');
        await using ChildProcess runner = await ChildProcess.StartAsync(
            "runner.py",
            "python3",
            [Path.Combine(folder, "runner.py"), address[0], address[1], Path.Combine(folder, "cases.json"), "--split", "--jobs", "16"]);

        int exitCode = await runner.WaitForExitAsync(TimeSpan.FromMinutes(8));

        output.WriteLine(runner.Output);
        Assert.False(shared.Server.Process.HasExited, shared.Server.Process.Output);
        Assert.True(exitCode == 0, runner.Output);
    }
}
