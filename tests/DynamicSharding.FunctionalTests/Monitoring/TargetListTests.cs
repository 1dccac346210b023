using System.Diagnostics;
using System.Net;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Monitoring;

/// <summary><c>/api/v1/sd</c> with a real Prometheus, which runs the shipped configuration, and with a real Consul.</summary>
public sealed class TargetListTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact, Trait("Category", "Slow")]
    public async Task Prometheus_follows_a_scale_out_and_keeps_scraping_a_gateway_that_was_scaled_in_until_it_is_empty()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(3)).Select(gateway => gateway.Address)];
        string[] two = gateways[..2];

        // Much longer than a refresh: the new gateway is scraped before it joins. A refresh takes much longer than the five seconds after which
        // Prometheus applies it, so that the requests tell how many there were.
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Static(two, admitAfter: "40s"));
        await server.WaitForMembersAsync(two, Limit);
        await using RequestCounter refreshes = new(server.AdminAddress);
        PrometheusProcess prometheus = await TestPeers.PrometheusAsync(refreshes.Address, "15s", server);
        await WaitForUpAsync(prometheus, two);

        server.WriteConfig(Static(gateways, admitAfter: "40s"));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        var refresh = Stopwatch.StartNew();
        long before = refreshes.Requests;

        // In the first list after the change, so Prometheus has it with its next refresh.
        Assert.Equal(gateways, (await TargetsAsync(server)).Select(target => target.Address));
        await Eventually.TrueAsync(
            async () => (await prometheus.TargetsAsync("pushgateway")).ContainsKey(Url(gateways[2])), Limit, () => "the new gateway among the targets");
        Output.WriteLine($"among the targets after {refresh.Elapsed.TotalSeconds:0.0} s; refresh_interval is 15 s, and Prometheus applies changes every 5 s");
        Assert.InRange(refreshes.Requests - before, 0, 1); // one may come between the reload and the count
        Assert.Equal("joining", (await TargetsAsync(server))[2].State);
        await WaitForUpAsync(prometheus, gateways);
        await server.WaitForMembersAsync(gateways, Limit);

        // A group on the gateway that will leave.
        string path = "/metrics/job/demo/instance/a";
        while (await server.OwnerOfAsync(path) != gateways[0]) path += "a";
        await server.PushAsync(path, "pushed_value 7\n");
        server.WriteConfig(Static(gateways[1..], admitAfter: "40s"));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await server.WaitForRingAsync(gateways[1..], Limit);
        Target left = (await TargetsAsync(server))[0];
        Assert.Equal((gateways[0], "former", "false"), (left.Address, left.State, left.InRing));

        // For longer than any refresh takes: it stays a target, and what it holds stays visible.
        for (int i = 0; i < 25; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1));
            IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> targets = await prometheus.TargetsAsync("pushgateway");
            Assert.Equal(gateways.Select(Url), targets.Keys.Order(StringComparer.Ordinal));
        }

        Assert.Equal("former", (await prometheus.TargetsAsync("pushgateway"))[Url(gateways[0])]["__meta_dynamic_sharding_state"]);
        await WaitForUpAsync(prometheus, gateways);
        await Eventually.TrueAsync(
            async () => (await prometheus.QueryAsync("pushed_value")) is [{ } series] && series["gateway"] == gateways[0] && series["value"] == "7",
            Limit,
            () => "the value on the gateway that left");

        // Its new owner gets the group, cleanup takes the stale copy away, and with it the last reason to scrape the gateway.
        await server.PushAsync(path, "pushed_value 8\n");
        server.WriteConfig(Static(gateways[1..], admitAfter: "40s") + "cleanup: { enabled: true, settle: 10s, interval: 10s }\n");
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await Eventually.TrueAsync(
            async () => (await prometheus.TargetsAsync("pushgateway")).Keys.Order(StringComparer.Ordinal).SequenceEqual(gateways[1..].Select(Url)),
            TimeSpan.FromMinutes(3),
            () => "the gateway that is empty among the targets still");
        Assert.Equal(gateways[1..], (await TargetsAsync(server)).Select(target => target.Address));
        await Eventually.TrueAsync(
            async () => (await prometheus.QueryAsync("pushed_value")) is [{ } only] && only["value"] == "8", Limit, () => "one series with the new value");
    }

    [Fact]
    public async Task A_gateway_whose_weight_is_set_to_0_gets_no_groups_and_stays_a_target()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(3)).Select(gateway => gateway.Address)];
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Static(gateways, admitAfter: "1s"));
        await server.WaitForMembersAsync(gateways, Limit);
        server.WriteConfig(Static(gateways, admitAfter: "1s").Replace($"\"{gateways[0]}\"", $"{{address: \"{gateways[0]}\", weight: 0}}", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await server.WaitForRingAsync(gateways[1..], Limit);
        Target drained = (await TargetsAsync(server)).Single(target => target.Address == gateways[0]);
        Assert.Equal("false", drained.InRing);
        Assert.DoesNotContain(gateways[0], (await server.OwnersOfAsync([.. Enumerable.Range(0, 100).Select(i => $"/metrics/job/j{i}")])).Values);
        Assert.Contains((await server.StatusAsync()).GetProperty("members").EnumerateArray(), gateway => gateway.GetProperty("address").GetString() == gateways[0]);
    }

    [Fact]
    public async Task Until_Consul_has_responded_it_is_503_and_then_instances_give_the_same_bytes()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(3)).Select(gateway => gateway.Address)];
        string address = FreePort.NextAddress();
        DynamicShardingProcess[] servers = [await TestPeers.DynamicShardingAsync(Consul(address, gateways)), await TestPeers.DynamicShardingAsync(Consul(address, gateways.Reverse()))];
        foreach (DynamicShardingProcess server in servers)
        {
            // It serves pushes with its own probes, but a list for Prometheus would lack what only Consul knows.
            await server.WaitForMembersAsync(gateways, Limit);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await ListAsync(server)).Status);
        }

        ConsulAgent consul = await TestPeers.ConsulAsync(address);
        await consul.WaitForPassingAsync("pushgateway", gateways, Limit);
        await WaitForSameListsAsync(servers, gateways, "member");
        await consul.PutAsync($"v1/agent/service/maintenance/{ConsulAgent.ServiceId(gateways[1])}?enable=true");
        await WaitForSameListsAsync(servers, [gateways[1]], "draining");

        // Without Consul, no gateway that is draining leaves.
        foreach (DynamicShardingProcess server in servers) await server.WaitForRingAsync([gateways[0], gateways[2]], Limit);
        consul.Process.Kill();
        await Task.Delay(TimeSpan.FromSeconds(3));
        await WaitForSameListsAsync(servers, [gateways[0], gateways[2]], "member");
    }

    [Fact]
    public async Task Weights_come_from_Consul_and_a_change_moves_groups_towards_the_gateway_only()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(3)).Select(gateway => gateway.Address)];
        ConsulAgent consul = await TestPeers.ConsulAsync();
        foreach (string gateway in gateways) await RegisterAsync(consul, gateway, 1);
        await consul.WaitForPassingAsync("pushgateway", gateways, Limit);
        string config = Consul(consul.Address, []) + "sharding: { consul_weights: true }\n";
        DynamicShardingProcess one = await TestPeers.DynamicShardingAsync(config), other = await TestPeers.DynamicShardingAsync(config);
        await one.WaitForMembersAsync(gateways, Limit);
        string[] paths = [.. Enumerable.Range(0, 300).Select(i => $"/metrics/job/demo/instance/{i}")];
        Dictionary<string, string> before = await one.OwnersOfAsync(paths);

        // An agent accepts up to 65535; more than 100 counts as 100, with a warning.
        await RegisterAsync(consul, gateways[0], 3);
        await WaitForWeightsAsync([3, 1, 1]);
        Dictionary<string, string> after = await one.OwnersOfAsync(paths);
        string[] moved = [.. paths.Where(path => before[path] != after[path])];
        Assert.NotEmpty(moved);
        Assert.All(moved, path => Assert.Equal(gateways[0], after[path]));
        Assert.Equal(after, await other.OwnersOfAsync(paths));
        Assert.Equal(1, await one.MetricAsync("dynamic_sharding_ring_changes_total{reason=\"weight\"}"));
        Assert.Equal(3, await one.MetricAsync($"dynamic_sharding_gateway_weight{{gateway=\"{gateways[0]}\"}}"));
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("lookup", "--json", "--url", $"http://{one.AdminAddress}", paths[0], moved[0]);
        Assert.Equal(0, exitCode);
        Assert.Contains($"\"owner\": \"{gateways[0]}\"", said, StringComparison.Ordinal);

        await RegisterAsync(consul, gateways[2], 65535);
        await WaitForWeightsAsync([3, 1, 100]);
        await one.WaitForLogAsync(Limit, "weight of a gateway is out of range", gateways[2], "65535");

        async Task WaitForWeightsAsync(int[] weights)
        {
            foreach (DynamicShardingProcess server in (DynamicShardingProcess[])[one, other])
            {
                await Eventually.TrueAsync(
                    async () => (await server.StatusAsync()).GetProperty("members").EnumerateArray().Select(m => m.GetProperty("weight").GetInt32()).SequenceEqual(weights),
                    Limit,
                    () => $"weights [{string.Join(", ", weights)}]");
            }

            Assert.Equal(await one.FingerprintAsync(), await other.FingerprintAsync());
        }
    }

    private static Task<string> RegisterAsync(ConsulAgent consul, string gateway, int weight) => consul.PutAsync(
        "v1/agent/service/register",
        $$"""
        {"ID": "{{ConsulAgent.ServiceId(gateway)}}", "Name": "pushgateway", "Address": "{{gateway.Split(':')[0]}}", "Port": {{gateway.Split(':')[1]}},
         "Weights": { "Passing": {{weight}}, "Warning": 1 }, "Check": {"HTTP": "http://{{gateway}}/-/healthy", "Interval": "1s" } }
        """);

    /// <summary>Of both instances, with these gateways in this state.</summary>
    private static Task<TimeSpan> WaitForSameListsAsync(DynamicShardingProcess[] servers, string[] gateways, string state)
    {
        string[] lists = [];
        return Eventually.TrueAsync(
            async () =>
            {
                lists = [.. (await Task.WhenAll(servers.Select(ListAsync))).Select(list => list.Status == HttpStatusCode.OK ? list.Text : "")];
                return lists[0] == lists[1] && lists[0].Length > 0 && gateways.All(gateway => Parse(lists[0]).Any(target => target.Address == gateway && target.State == state));
            },
            Limit,
            () => $"the same list with [{string.Join(", ", gateways)}] as {state}, there is\n{string.Join('\n', lists)}");
    }

    private static async Task WaitForUpAsync(PrometheusProcess prometheus, string[] gateways)
    {
        string[] up = [];
        await Eventually.TrueAsync(
            async () => (up = [.. (await prometheus.QueryAsync("up{job=\"pushgateway\"} == 1")).Select(target => target["gateway"]).Order(StringComparer.Ordinal)]).SequenceEqual(gateways),
            Limit,
            () => $"[{string.Join(", ", gateways)}] up, there is [{string.Join(", ", up)}]");
    }

    private static async Task<Target[]> TargetsAsync(DynamicShardingProcess server) => Parse((await ListAsync(server)).Text);

    private static async Task<(HttpStatusCode Status, string Text)> ListAsync(DynamicShardingProcess server)
    {
        using HttpClient client = LoopbackHttp.Client(server.AdminAddress);
        using HttpResponseMessage response = await client.GetAsync("api/v1/sd");
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static Target[] Parse(string list)
    {
        using JsonDocument document = JsonDocument.Parse(list);
        return [.. document.RootElement.EnumerateArray().Select(group => new Target(group.GetProperty("targets")[0].GetString()!, Label(group, "state"), Label(group, "in_ring")))];

        static string Label(JsonElement group, string name) => group.GetProperty("labels").GetProperty("__meta_dynamic_sharding_" + name).GetString()!;
    }

    private static string Url(string gateway) => $"http://{gateway}/metrics";

    private static string Static(IEnumerable<string> gateways, string admitAfter) => $$"""
        pushgateway:
          servers: [{{string.Join(", ", gateways.Select(address => $"\"{address}\""))}}]
          health_check: { interval: 1s, timeout: 1s }
        membership: { admit_after: {{admitAfter}} }

        """;

    private static string Consul(string address, IEnumerable<string> gateways) => $$"""
        consul_server: { addr: "{{address}}" }
        pushgateway:
          servers: [{{string.Join(", ", gateways.Select(gateway => $"\"{gateway}\""))}}]
          health_check: { interval: 1s, timeout: 1s }
        membership: { admit_after: 1s }

        """;

    private sealed record Target(string Address, string State, string InRing);
}
