using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.FunctionalTests.Monitoring;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>Three real gateways become four: what moved is found by the alert's query and by the command, which deletes exactly that.</summary>
[Trait("Category", "Slow")]
public sealed class GroupsStaleTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Groups = 60;
    private const string Query = "count by (job, instance) (push_time_seconds) > 1";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    /// <summary>More than the margin.</summary>
    private static readonly TimeSpan Apart = TimeSpan.FromSeconds(7);

    [Fact]
    public async Task Copies_that_moved_groups_left_are_found_and_exactly_they_are_deleted()
    {
        Dictionary<string, PushgatewayProcess> gateways = (await TestPeers.PushgatewaysAsync(4)).ToDictionary(gateway => gateway.Address);
        string[] all = [.. gateways.Keys.Order(StringComparer.Ordinal)], three = all[..3];
        ConsulAgent consul = await TestPeers.ConsulAsync();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(ShippedPrometheus.Config(consul, three));
        await consul.WaitForPassingAsync("pushgateway", three, Limit);
        await server.WaitForMembersAsync(three, Limit);
        string[] paths = [.. Enumerable.Range(0, Groups).Select(Path)];
        Dictionary<string, string> before = await server.OwnersOfAsync(paths);
        foreach (string path in paths) Assert.Equal(HttpStatusCode.OK, await server.PushAsync(path, "value 1\n"));
        Assert.Equal((0, "nothing to delete\n"), await server.GroupsAsync("delete", "--stale", "--yes"));

        server.WriteConfig(ShippedPrometheus.Config(consul, all));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await consul.WaitForPassingAsync("pushgateway", all, Limit);
        await server.WaitForMembersAsync(all, Limit);
        Dictionary<string, string> after = await server.OwnersOfAsync(paths);
        string[] moved = [.. paths.Where(path => before[path] != after[path])];
        Assert.InRange(moved.Length, 4, Groups - 1);

        // Of those that moved: one is not pushed again, one has a metric that only its old copy has, one comes back to its old gateway.
        string silent = moved[0], partial = moved[1], returned = moved[2];
        await PushToAsync(before[partial], partial, HttpMethod.Post, "other 1\n");
        await Task.Delay(Apart);
        foreach (string path in paths.Where(path => path != silent)) Assert.Equal(HttpStatusCode.OK, await server.PushAsync(path, "value 2\n"));
        await PushToAsync(before[returned], returned, HttpMethod.Put, "value 3\n");
        string[] stale = moved[3..];

        PrometheusProcess prometheus = await TestPeers.PrometheusAsync(server);
        await WaitForCopiesAsync(prometheus, moved[1..]);
        await Eventually.TrueAsync(
            async () => (await prometheus.QueryAsync("ALERTS{alertname=\"PushgatewayGroupOnTwoGateways\"}")).Count == moved.Length - 1,
            Limit,
            () => "the alert, waiting for its time");

        (int exitCode, string said) = await server.GroupsAsync("stale");
        Assert.Equal(0, exitCode);
        Assert.Equal(stale.Order(), GroupsCommand.Rows(said, "stale").Select(PathIn).Order());
        Assert.Equal(moved[..3].Order(), GroupsCommand.Left(said).Select(PathIn).Order());
        Assert.Contains("it has metrics that the owner's copy lacks", said, StringComparison.Ordinal);
        Assert.Contains("its owner has no copy", said, StringComparison.Ordinal);
        Assert.Contains("the owner's copy is not newer by more than the margin", said, StringComparison.Ordinal);
        Assert.EndsWith($"{Groups} groups, {Groups + moved.Length - 1} copies on 4 gateways, {stale.Length} stale copies, 3 left\n", said, StringComparison.Ordinal);
        await WaitForGroupsAsync(gateways, address => paths.Where(path => before[path] == address || (after[path] == address && path != silent)));

        // A gateway that cannot be read has no word in it, but the command has not seen everything.
        (exitCode, said) = await server.GroupsAsync("delete", "--stale", "--yes", "--gateways", FreePort.NextAddress());
        Assert.Equal(1, exitCode);
        Assert.Contains("cannot read 127.0.0.1:", said, StringComparison.Ordinal);
        Assert.EndsWith($"{stale.Length} copies deleted, 0 left\n", said, StringComparison.Ordinal);
        await WaitForGroupsAsync(gateways, address => paths.Where(path =>
            (after[path] == address && path != silent) || (before[path] == address && (path == silent || path == partial || path == returned))));
        await WaitForCopiesAsync(prometheus, [partial, returned]);

        Task PushToAsync(string address, string path, HttpMethod method, string body) => gateways[address].SendAsync(method, path, body);
    }

    [Fact]
    public async Task A_copy_that_is_pushed_to_between_the_readings_stays()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $$"""pushgateway: { servers: ["{{gateways[0].Address}}", "{{gateways[1].Address}}"], health_check: { enabled: false } }""" + "\n");
        PushgatewayProcess owner = gateways.Single(gateway => gateway.Address == server.OwnerOfAsync(Path(0)).Result), old = gateways.Single(gateway => gateway != owner);
        await old.SendAsync(HttpMethod.Put, Path(0), "value 1\n");
        await Task.Delay(Apart);
        await owner.SendAsync(HttpMethod.Put, Path(0), "value 2\n");
        (int exitCode, string said) = await GroupsCommand.RunWhileAsync(
            async process =>
            {
                await process.WaitUntilReadyAsync(() => Task.FromResult(process.Output.Contains("1 copy of 1 group on 1 gateway", StringComparison.Ordinal)), Limit);
                await old.SendAsync(HttpMethod.Put, Path(0), "value 3\n");
            },
            "delete", "--stale", "--yes", "--url", $"http://{server.AdminAddress}");
        Assert.True(exitCode == 0, said);
        Assert.Contains("0 copies deleted, 1 left", said, StringComparison.Ordinal);
        Assert.Single(await old.GroupsAsync());
    }

    [Fact]
    public async Task Gateways_below_a_prefix_that_want_a_password_are_read_and_cleaned()
    {
        using TemporaryFolder folder = new();
        // bcrypt of "secret", at the least cost.
        string web = folder.Write("web.yml", "basic_auth_users: { alice: $2b$04$tzHLPSvQAyQKH42fmXsHU.v4chN2HXMdZDmdVB5Wu5oGFrI/TBbS6 }\n");
        string password = folder.Write("password", "secret\n");
        string[] addresses = [FreePort.NextAddress(), FreePort.NextAddress()];
        using HttpClient client = LoopbackHttp.Client(addresses[0]);
        client.DefaultRequestHeaders.Authorization = new("Basic", Base64("alice:secret"));
        await using ChildProcess one = await GatewayAsync(addresses[0]), other = await GatewayAsync(addresses[1]);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $$"""pushgateway: { servers: ["{{addresses[0]}}", "{{addresses[1]}}"], path_prefix: /pgw, health_check: { enabled: false } }""" + "\n");
        const string Group = "/metrics/job/demo/instance/i1";
        string owner = await server.OwnerOfAsync(Group), old = addresses.Single(address => address != owner);
        foreach (string address in (string[])[old, owner])
        {
            using StringContent body = new("value 1\n");
            using HttpResponseMessage reply = await client.PutAsync($"http://{address}/pgw{Group}", body);
            Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
            await Task.Delay(Apart);
        }

        (int exitCode, string said) = await server.GroupsAsync("delete", "--stale", "--yes");
        Assert.Equal(1, exitCode);
        Assert.Contains("401", said, StringComparison.Ordinal);

        (exitCode, said) = await server.GroupsAsync("delete", "--stale", "--yes", "--gateway-user", "alice:" + password);
        Assert.True(exitCode == 0, said);
        Assert.Contains(old, Assert.Single(GroupsCommand.Rows(said, "stale")), StringComparison.Ordinal);
        Assert.EndsWith("1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
        await Eventually.TrueAsync(
            async () => !(await client.GetStringAsync($"http://{old}/pgw/metrics")).Contains("job=\"demo\"", StringComparison.Ordinal), Limit, () => "the copy gone");
        Assert.Contains("job=\"demo\"", await client.GetStringAsync($"http://{owner}/pgw/metrics"), StringComparison.Ordinal);

        async Task<ChildProcess> GatewayAsync(string address)
        {
            ChildProcess gateway = await ChildProcess.StartAsync(
                "pushgateway " + address,
                "prometheus-pushgateway",
                [$"--web.listen-address={address}", "--persistence.file=", "--web.route-prefix=/pgw", $"--web.config.file={web}"]);
            await gateway.WaitUntilReadyAsync(
                async () =>
                {
                    using HttpResponseMessage reply = await client.GetAsync($"http://{address}/pgw/-/ready");
                    return reply.IsSuccessStatusCode;
                },
                TimeSpan.FromSeconds(30));
            return gateway;
        }
    }

    [Fact]
    public async Task Where_the_owner_cannot_be_told_nothing_is_judged()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $$"""pushgateway: { servers: ["{{FreePort.NextAddress()}}"], health_check: { enabled: false } }""" + "\nsharding: { key: path }\n");
        foreach (string[] command in (string[][])[["stale"], ["delete", "--stale", "--yes"]])
        {
            (int exitCode, string said) = await server.GroupsAsync(command);
            Assert.Equal(1, exitCode);
            Assert.Contains("sharding.key is path", said, StringComparison.Ordinal);
        }
    }

    /// <summary>Plain, with what only base64 can spell, and with an empty value.</summary>
    private static string Path(int i)
    {
        string job = (i % 3) switch
        {
            0 => "job/plain",
            1 => $"job@base64/{Base64("a/b ä")}",
            _ => "job/empty/zone@base64/=",
        };
        return string.Create(CultureInfo.InvariantCulture, $"/metrics/{job}/instance/i{i}");
    }

    private static string Instance(string path) => path.Split('/')[^1];

    private static string PathIn(string line) => Path(int.Parse(line.Split("instance=\"i")[1].Split('"')[0], CultureInfo.InvariantCulture));

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text)).Replace('+', '-').Replace('/', '_');

    private static async Task WaitForCopiesAsync(PrometheusProcess prometheus, IEnumerable<string> paths)
    {
        string[] wanted = [.. paths.Select(Instance).Order(StringComparer.Ordinal)], found = [];
        await Eventually.TrueAsync(
            async () =>
            {
                IReadOnlyList<IReadOnlyDictionary<string, string>> copies = await prometheus.QueryAsync(Query);
                found = [.. copies.Select(series => series["instance"]).Order(StringComparer.Ordinal)];
                return found.SequenceEqual(wanted) && copies.All(series => series["value"] == "2");
            },
            Limit,
            () => $"copies of [{string.Join(", ", wanted)}], there are [{string.Join(", ", found)}]");
    }

    private static async Task WaitForGroupsAsync(Dictionary<string, PushgatewayProcess> gateways, Func<string, IEnumerable<string>> expected)
    {
        foreach ((string address, PushgatewayProcess gateway) in gateways)
        {
            string[] wanted = [.. expected(address).Select(Instance).Order(StringComparer.Ordinal)], found = [];
            await Eventually.TrueAsync(
                async () =>
                {
                    found = [.. (await gateway.GroupsAsync()).Select(group => group.Split('\n').Single(label => label.StartsWith("instance=", StringComparison.Ordinal))[9..]).Order(StringComparer.Ordinal)];
                    return found.SequenceEqual(wanted);
                },
                Limit,
                () => $"on {address} [{string.Join(", ", wanted)}], there are [{string.Join(", ", found)}]");
        }
    }
}
