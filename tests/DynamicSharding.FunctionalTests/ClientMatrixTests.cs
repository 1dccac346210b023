using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Real push clients with both listeners: tests/clients/matrix.py compares the results with docs/compatibility.md.</summary>
[Collection(AloneGroup.Name)]
public sealed class ClientMatrixTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact, Trait("Category", "Slow")]
    public async Task Every_client_is_right_on_the_forward_listener_and_the_document_says_what_the_redirect_listener_does_to_it()
    {
        string script = Path.Combine(Binary.RepositoryRoot, "tests/clients/matrix.py");
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot, ["DYNAMIC_SHARDING_BINARY"] = Binary.Path };
        await using ChildProcess run = await ChildProcess.StartAsync("matrix.py", "python3", [script, "--check"], environment);

        int exitCode = await run.WaitForExitAsync(TimeSpan.FromMinutes(10));

        Output.WriteLine(run.Output);
        Assert.True(exitCode == 0, run.Output);
    }
}
