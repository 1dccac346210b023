using System.Net;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Monitoring;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>The server's own passes, with the 30 s between readings, and the lease of real instances in a real Consul.</summary>
[Trait("Category", "Slow")]
public sealed class CleanupServiceTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Cleanup = "cleanup: { enabled: true, interval: 2s, settle: 2s, margin: 0s }\n";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task After_a_scale_out_the_stale_copies_go_by_themselves_and_everything_says_so()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(all[..1]));
        string[] paths = [.. Enumerable.Range(0, 20).Select(i => $"/metrics/job/j{i}")];
        foreach (string path in paths) Assert.Equal(HttpStatusCode.OK, await server.PushAsync(path, "m 1\n"));
        server.WriteConfig(Config(all));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await server.WaitForMembersAsync(all, Limit);
        Dictionary<string, string> owners = await server.OwnersOfAsync(paths);
        string[] moved = [.. paths.Where(path => owners[path] == all[1])];
        Assert.InRange(moved.Length, 1, paths.Length - 1);
        await Task.Delay(CleanedGateways.Older);
        foreach (string path in paths) Assert.Equal(HttpStatusCode.OK, await server.PushAsync(path, "m 2\n"));

        await Eventually.TrueAsync(
            async () => (await gateways[0].GroupsAsync()).Length == paths.Length - moved.Length, Limit, () => "no stale copy");
        await Eventually.TrueAsync(async () => await server.MetricAsync("dynamic_sharding_cleanup_deleted_total{reason=\"stale\"}") == moved.Length, Limit, () => "the count");
        Assert.Equal(moved.Length, (await gateways[1].GroupsAsync()).Length);
        await server.WaitForLogAsync(Limit, "deleted a copy of a group", "reason=stale");

        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        await Eventually.TrueAsync(
            async () => JsonDocument.Parse(await admin.GetStringAsync("api/v1/cleanup")).RootElement.GetProperty("last_pass").GetProperty("misplaced").GetInt64() == 0,
            Limit,
            () => "a pass that finds nothing");

        // Fields may be added, and none may go.
        JsonElement state = JsonDocument.Parse(await admin.GetStringAsync("api/v1/cleanup")).RootElement;
        Assert.Equal(
            ["enabled", "dry_run", "exclude", "holds_lease", "lease_holder", "waiting", "running", "passes", "failed_passes", "last_success", "deleted", "last_pass"],
            state.EnumerateObject().Select(static field => field.Name));
        Assert.Equal(
            ["started", "seconds", "dry_run", "success", "groups", "misplaced", "stale", "deleted", "left", "gateways", "deleted_copies", "left_copies"],
            state.GetProperty("last_pass").EnumerateObject().Select(static field => field.Name));
        JsonElement groups = JsonDocument.Parse(await admin.GetStringAsync("api/v1/groups?match=" + Uri.EscapeDataString("job=~\"j1|j2\""))).RootElement;
        Assert.Equal(
            ["j1 " + owners["/metrics/job/j1"], "j2 " + owners["/metrics/job/j2"]],
            groups.GetProperty("groups").EnumerateArray().Select(group => $"{group.GetProperty("labels").GetProperty("job").GetString()} {group.GetProperty("owner").GetString()}").Order());
        string page = await admin.GetStringAsync("");
        Assert.Contains("Stale copies now", page, StringComparison.Ordinal);
        Assert.DoesNotContain("keep stale copies", page, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, (await admin.GetAsync("api/v1/groups?match=job")).StatusCode);
    }

    [Fact]
    public async Task A_stop_in_the_middle_of_a_pass_ends_it_without_a_delete()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        string[] jobs = [.. Enumerable.Range(0, 20).Select(i => $"j{i}")];
        foreach (PushgatewayProcess gateway in gateways)
        {
            foreach (string job in jobs) await StaleCopyTests.PushAsync(gateway, job);
            await Task.Delay(CleanedGateways.Older);
        }

        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(all) + "shutdown: { drain_delay: 0s }\n");
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        await Eventually.TrueAsync(
            async () => JsonDocument.Parse(await admin.GetStringAsync("api/v1/cleanup")).RootElement.GetProperty("running").GetBoolean(), Limit, () => "a pass");
        await Task.Delay(TimeSpan.FromSeconds(1));
        server.Process.Terminate();

        Assert.Equal(0, await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(15)));
        foreach (PushgatewayProcess gateway in gateways) Assert.Equal(jobs.Length, (await gateway.GroupsAsync()).Length);
    }

    [Fact]
    public async Task One_instance_holds_the_lease_and_another_takes_over_after_a_stop_and_after_a_crash()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(1);
        string[] addresses = [gateways[0].Address];
        ConsulAgent consul = await TestPeers.ConsulAsync();
        List<DynamicShardingProcess> servers = [];
        for (int i = 0; i < 3; i++) servers.Add(await TestPeers.DynamicShardingAsync(ShippedPrometheus.Config(consul, addresses) + Cleanup));

        for (int i = 0; i < 2; i++)
        {
            DynamicShardingProcess holder = await HolderAsync(servers);
            servers.Remove(holder);

            // A stop releases it at once; a crash leaves it to the session's end and Consul's lock delay.
            if (i == 0) holder.Process.Terminate();
            else holder.Process.Kill();
            await holder.Process.WaitForExitAsync(TimeSpan.FromSeconds(30));
        }

        await HolderAsync(servers);
        await Eventually.TrueAsync(
            async () => await servers[0].MetricAsync("dynamic_sharding_cleanup_passes_total{result=\"success\"}") > 0, Limit, () => "a pass by the last");
    }

    private static string Config(IEnumerable<string> gateways) => $$"""
        pushgateway:
          servers: [{{string.Join(", ", gateways.Select(address => $"\"{address}\""))}}]
          health_check: { interval: 1s, timeout: 1s }
        membership: { admit_after: 1s }

        """ + Cleanup;

    private static async Task<DynamicShardingProcess> HolderAsync(List<DynamicShardingProcess> servers)
    {
        DynamicShardingProcess? holder = null;
        await Eventually.TrueAsync(
            async () =>
            {
                List<DynamicShardingProcess> holders = [];
                foreach (DynamicShardingProcess server in servers)
                {
                    if (await server.MetricAsync("dynamic_sharding_cleanup_lease_held") == 1) holders.Add(server);
                }

                Assert.True(holders.Count <= 1, "two hold the lease");
                holder = holders.SingleOrDefault();
                return holder is not null;
            },
            Limit,
            () => "somebody holds the lease");
        return holder!;
    }
}
