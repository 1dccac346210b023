using System.Text.Json;
using DynamicSharding.Cleanup;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Cleanup.CleanedGateways;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>Real gateways with <c>--push.enable-utf8-names</c>: a name that is not a classic one is spelled <c>U__…</c> in a path.</summary>
public sealed class Utf8NamesTests(ITestOutputHelper output) : PeerTest(output)
{
    private readonly List<PushgatewayProcess> _gateways = [];

    /// <summary>As spelled in a path, and as it is.</summary>
    private static readonly (string Spelled, string Name)[] Names =
    [
        ("U__foo_2e_bar", "foo.bar"),
        ("U___65e5__672c_", "日本"),
        ("U__with_20_space_2f_slash", "with space/slash"),
        ("U__classic__name", "classic_name"),
        ("U__U____x", "U__x"),
    ];

    [Fact]
    public async Task A_pass_deletes_the_stale_copies_and_no_other_group()
    {
        await StartAsync();
        foreach ((string spelled, _) in Names)
        {
            foreach (string path in new[] { $"/metrics/job/a/{spelled}/1", "/metrics/job/a", "/metrics/job/a/other/1" })
                await _gateways[0].SendAsync(HttpMethod.Put, path, "m 1\n");
        }

        await Task.Delay(Older);
        foreach ((string spelled, _) in Names) await _gateways[1].SendAsync(HttpMethod.Put, $"/metrics/job/a/{spelled}/1", "m 2\n");
        string[] newest = [.. Names.Select(static each => PushgatewayProcess.Describe(new Dictionary<string, string> { [each.Name] = "1", ["job"] = "a" }))];
        await WaitForGroupsAsync(_gateways[1], newest);
        using var cleaner = new CleanedGateways();

        CleanupReport report = await cleaner.PassAsync(RingOf(_gateways[1].Address), _gateways.Select(static gateway => gateway.Address));

        Assert.Equal(Names.Length, Deleted(report, DeleteReason.Stale));
        await WaitForGroupsAsync(_gateways[0], "job=a", "job=a\nother=1");
        await WaitForGroupsAsync(_gateways[1], newest);
    }

    [Fact]
    public async Task A_remembered_DELETE_and_the_command_find_the_group()
    {
        await StartAsync();
        string[] addresses = [.. _gateways.Select(static gateway => gateway.Address)];
        DeleteServer server = await DeleteServer.StartAsync(TestPeers, addresses);
        List<(string Path, string Matcher)> groups = [];
        foreach ((string spelled, string name) in Names)
        {
            string path = "", owner = addresses[0];
            int i = 0;
            for (; owner != addresses[1]; i++) owner = await server.Process.OwnerOfAsync(path = $"/metrics/job/a/{spelled}/{i}");
            groups.Add((path, $"\"{name}\"=\"{i - 1}\""));
        }

        // The command's owner is the edge's, and its path is one that a gateway understands.
        foreach ((string path, string matcher) in groups)
        {
            await _gateways[1].SendAsync(HttpMethod.Put, path, "m 1\n");
            (int exitCode, string said) = await GroupsCommand.RunAsync(null, "list", "--config.file", server.Process.ConfigFile, "--match", matcher, "--json");
            Assert.Equal(0, exitCode);
            JsonElement group = Assert.Single(JsonDocument.Parse(said).RootElement.GetProperty("groups").EnumerateArray());
            Assert.Equal(addresses[1], group.GetProperty("owner").GetString());
            using (HttpClient admin = LoopbackHttp.Client(server.Process.AdminAddress))
            {
                JsonElement seen = Assert.Single(JsonDocument.Parse(await admin.GetStringAsync("api/v1/groups")).RootElement.GetProperty("groups").EnumerateArray());
                foreach (string property in (string[])["owner", "path"]) Assert.Equal(group.GetProperty(property).GetString(), seen.GetProperty(property).GetString());
            }

            await _gateways[1].SendAsync(HttpMethod.Delete, group.GetProperty("path").GetString()!, "");
            await WaitForGroupsAsync(_gateways[1]);
        }

        await server.SetGatewaysAsync(addresses[0]);
        foreach ((string path, _) in groups) await _gateways[0].SendAsync(HttpMethod.Put, path, "m 1\n");
        await Task.Delay(TimeSpan.FromSeconds(3));
        await server.SetGatewaysAsync(addresses);
        foreach ((string path, _) in groups) await server.DeleteAsync("forward", path);
        await Eventually.TrueAsync(async () => (await _gateways[0].GroupsAsync()).Length == 0, DeleteServer.Limit, () => "the former owner has one");

        foreach ((string path, string matcher) in groups)
        {
            await _gateways[0].SendAsync(HttpMethod.Put, path, "m 1\n");
            (int exitCode, string said) = await GroupsCommand.RunAsync(null, "delete", "--config.file", server.Process.ConfigFile, "--match", matcher, "--yes");
            Assert.True(exitCode == 0, said);
            Assert.Contains("1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
            await WaitForGroupsAsync(_gateways[0]);
        }
    }

    private async Task StartAsync()
    {
        foreach (string address in new[] { FreePort.NextAddress(), FreePort.NextAddress() })
            _gateways.Add(await TestPeers.PushgatewayAsync(address, PushgatewayProcess.Utf8Names));
    }
}
