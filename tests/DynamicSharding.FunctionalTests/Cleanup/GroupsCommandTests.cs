using System.Text;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary><c>groups list</c> and <c>groups delete</c> with real gateways: any group can be named, and nothing else is touched.</summary>
public sealed class GroupsCommandTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly TemporaryFolder _folder = new();
    private PushgatewayProcess[] _gateways = [];
    private string _file = "";

    public void Dispose() => _folder.Dispose();

    /// <summary>A value, and the matcher that selects it.</summary>
    [Theory]
    [InlineData("", "x=\"\", job=\"odd\"")]
    [InlineData("a/b", "x=\"a/b\"")]
    [InlineData("..", "x=\"..\"")]
    [InlineData("a b+c%2F", "x=\"a b+c%2F\"")]
    [InlineData("quote \" and \\ backslash", "x=\"quote \\\" and \\\\ backslash\"")]
    [InlineData("two\nlines", "x=~\"two.lines\"")]
    [InlineData("日本 🚀", "x=`日本 🚀`")]
    [InlineData("@base64", "x=~\"@base..\"")]
    [InlineData("=", "x!~\"|other\"")]
    public async Task Any_group_is_listed_and_deleted_and_no_other(string value, string matcher)
    {
        await StartAsync();
        string path = Path("odd", value);
        foreach (PushgatewayProcess gateway in _gateways)
        {
            await gateway.SendAsync(HttpMethod.Put, path, "v 1\n");
            await gateway.SendAsync(HttpMethod.Put, Path("even", "other"), "v 1\n");
        }

        (int exitCode, string said) = await RunAsync(null, "list", "--match", matcher, "--json");
        Assert.Equal(0, exitCode);
        JsonElement group = Assert.Single(JsonDocument.Parse(said).RootElement.GetProperty("groups").EnumerateArray());
        Assert.Equal(value, group.GetProperty("labels").GetProperty("x").GetString());
        Assert.Equal(2, group.GetProperty("copies").GetArrayLength());
        Assert.Contains(group.GetProperty("owner").GetString(), _gateways.Select(gateway => gateway.Address));

        // The path is what a client needs to do it by hand.
        await _gateways[0].SendAsync(HttpMethod.Delete, group.GetProperty("path").GetString()!, "");
        await WaitForJobsAsync(_gateways[0], "even");

        (exitCode, said) = await RunAsync("y", "delete", "--match", matcher);
        Assert.Equal(0, exitCode);
        Assert.Contains("1 copy of 1 group on 1 gateway\ndelete? [y/N] \n1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(_gateways[1], "even");
        Assert.Equal(["even"], await JobsAsync(_gateways[0]));
    }

    [Theory]
    [InlineData("n")]
    [InlineData("")]
    [InlineData(null)]
    public async Task Without_a_yes_nothing_is_deleted(string? answer)
    {
        await StartAsync();
        await _gateways[0].SendAsync(HttpMethod.Put, Path("a", "b"), "v 1\n");
        (int exitCode, string said) = await RunAsync(answer, "delete", "--match", "job=\"a\"");
        Assert.Equal(1, exitCode);
        Assert.EndsWith("1 copy of 1 group on 1 gateway\ndelete? [y/N] \nnothing is deleted\n", said, StringComparison.Ordinal);
        Assert.Equal(["a"], await JobsAsync(_gateways[0]));
    }

    [Fact]
    public async Task Several_matchers_select_what_one_of_them_does_and_the_result_is_one_document()
    {
        await StartAsync();
        foreach (string job in (string[])["a", "b", "c"]) await _gateways[0].SendAsync(HttpMethod.Put, Path(job, "1"), "v 1\n");
        (int exitCode, string said) = await RunAsync(null, "delete", "--match", "job=\"a\"", "--match", "{job=\"c\", x!=\"2\"}", "--json", "--yes");
        Assert.Equal(0, exitCode);
        JsonElement[] groups = [.. JsonDocument.Parse(said).RootElement.GetProperty("groups").EnumerateArray()];
        Assert.Equal(["a", "c"], groups.Select(group => group.GetProperty("labels").GetProperty("job").GetString()));
        Assert.All(groups, group => Assert.Equal("deleted", Assert.Single(group.GetProperty("copies").EnumerateArray()).GetProperty("result").GetString()));
        await WaitForJobsAsync(_gateways[0], "b");
    }

    [Fact]
    public async Task The_newest_copy_decides_how_old_a_group_is()
    {
        await StartAsync();
        foreach (string job in (string[])["old", "pushed"]) await _gateways[0].SendAsync(HttpMethod.Put, Path(job, "1"), "v 1\n");
        await Task.Delay(TimeSpan.FromSeconds(16));
        await _gateways[1].SendAsync(HttpMethod.Put, Path("pushed", "1"), "v 1\n");
        (int exitCode, string said) = await RunAsync(null, "list", "--older-than", "15s");
        Assert.Equal(0, exitCode);
        Assert.Contains("1 group, 1 copy on 2 gateways\n", said, StringComparison.Ordinal);

        // A gateway that cannot be read may have a newer copy of each.
        (exitCode, said) = await RunAsync(null, "delete", "--older-than", "15s", "--yes", "--gateways", FreePort.NextAddress());
        Assert.Equal(1, exitCode);
        Assert.Contains("nothing is deleted: a gateway that cannot be read may have a newer copy", said, StringComparison.Ordinal);
        Assert.Equal(["old", "pushed"], await JobsAsync(_gateways[0]));

        await _gateways[1].SendAsync(HttpMethod.Put, Path("pushed", "1"), "v 1\n");
        (exitCode, said) = await RunAsync(null, "delete", "--older-than", "15s", "--match", "job!=\"x\"", "--yes");
        Assert.Equal(0, exitCode);
        Assert.Contains("1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(_gateways[0], "pushed");
    }

    [Fact]
    public async Task A_former_gateway_is_read_when_it_is_named()
    {
        await StartAsync();
        PushgatewayProcess former = await TestPeers.PushgatewayAsync();
        await former.SendAsync(HttpMethod.Put, Path("left", "1"), "v 1\n");
        (_, string said) = await RunAsync(null, "list");
        Assert.Equal("0 groups, 0 copies on 2 gateways\n", said);
        (_, said) = await RunAsync(null, "list", "--gateways", former.Address);
        Assert.Contains(former.Address, Assert.Single(GroupsCommand.Rows(said, "other")), StringComparison.Ordinal);
        Assert.EndsWith("1 group, 1 copy on 3 gateways\n", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_gateway_that_cannot_be_read_is_named_and_the_exit_code_says_so()
    {
        await StartAsync();
        await _gateways[0].SendAsync(HttpMethod.Put, Path("a", "1"), "v 1\n");
        _gateways[1].Process.Kill();
        (int exitCode, string said) = await RunAsync(null, "list");
        Assert.Equal(1, exitCode);
        Assert.Contains("1 group, 1 copy on 2 gateways\n", said, StringComparison.Ordinal);
        Assert.Contains("cannot read " + _gateways[1].Address, said, StringComparison.Ordinal);
    }

    private static string Path(string job, string value) =>
        $"/metrics/job/{job}/x@base64/{(value.Length == 0 ? "=" : Convert.ToBase64String(Encoding.UTF8.GetBytes(value)).Replace('+', '-').Replace('/', '_'))}";

    private static async Task<string[]> JobsAsync(PushgatewayProcess gateway) =>
        [.. (await gateway.GroupsAsync()).Select(group => group.Split('\n').First(label => label.StartsWith("job=", StringComparison.Ordinal))[4..]).Order(StringComparer.Ordinal)];

    private static Task<TimeSpan> WaitForJobsAsync(PushgatewayProcess gateway, params string[] jobs) =>
        Eventually.TrueAsync(async () => (await JobsAsync(gateway)).SequenceEqual(jobs), Limit, () => $"only {string.Join(", ", jobs)} on {gateway.Address}");

    private async Task StartAsync()
    {
        _gateways = await TestPeers.PushgatewaysAsync(2);
        _file = _folder.Write("edge.yml", $"pushgateway: {{ servers: [{string.Join(", ", _gateways.Select(gateway => $"\"{gateway.Address}\""))}] }}\n");
    }

    private Task<(int ExitCode, string Output)> RunAsync(string? answer, string command, params string[] arguments) =>
        GroupsCommand.RunAsync(answer, [command, "--config.file", _file, .. arguments]);
}
