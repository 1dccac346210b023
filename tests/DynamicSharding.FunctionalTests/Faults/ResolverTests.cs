using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>
/// Name servers that never respond, and a name whose address moves. tests/faults/resolver.py runs it in its own namespaces and is the
/// name server there.
/// </summary>
[Collection(AloneGroup.Name)]
public sealed class ResolverTests(ITestOutputHelper output) : PeerTest(output)
{
    [Theory, Trait("Category", "Slow")]
    [InlineData(12)]
    [InlineData(40)]
    public async Task Names_whose_name_server_never_responds_delay_nobody_else(int names)
    {
        JsonElement result = await RunAsync($"silent --names {names}");
        Assert.True(result.GetProperty("healthy").GetBoolean(), result.ToString());
        Assert.Equal(0, result.GetProperty("failed").GetInt32());

        // A resolver stall takes five seconds or more.
        Assert.All(result.GetProperty("longest").EnumerateObject(), longest => Assert.True(longest.Value.GetDouble() < 3, result.ToString()));
    }

    [Fact, Trait("Category", "Slow")]
    public async Task A_name_whose_address_moves_is_followed_with_its_next_lookup_also_on_kept_connections()
    {
        JsonElement result = await RunAsync("moves");
        Assert.True(result.GetProperty("new_address").GetBoolean(), result.ToString());
        Assert.Equal(0, result.GetProperty("failed").GetInt32());

        // Every ten seconds, and the time that it takes.
        Assert.InRange(result.GetProperty("old_address_for").GetDouble(), 0, 12);
    }

    /// <summary>Content above 64 KiB, so that each push needs a new connection. Only the first pays for the addresses that are dead.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task The_addresses_of_a_gateway_are_tried_in_order_and_the_one_that_works_is_remembered()
    {
        JsonElement result = await RunAsync("several");
        Assert.Equal(0, result.GetProperty("failed").GetInt32());
        Assert.InRange(result.GetProperty("first").GetDouble(), 4, 15);
        Assert.InRange(result.GetProperty("longest_of_the_rest").GetDouble(), 0, 3);
    }

    private async Task<JsonElement> RunAsync(string mode)
    {
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/resolver.py");
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        await using ChildProcess run = await ChildProcess.StartAsync(
            "resolver.py", "unshare", ["-m", "-n", "python3", script, Binary.Path, .. mode.Split(' ')], environment);
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromMinutes(2)) == 0, run.Output);
        string json = Assert.Single(run.Output.Split('\n'), line => line.StartsWith('{'));
        Output.WriteLine(json);
        JsonElement result = JsonDocument.Parse(json).RootElement;
        Assert.Equal(0, result.GetProperty("exit_code").GetInt32());
        return result;
    }
}
