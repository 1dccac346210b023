using System.Net;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>When the server's own passes begin, and what ends one.</summary>
[Trait("Category", "Slow")]
public sealed class PassTimesTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Success = "dynamic_sharding_cleanup_passes_total{result=\"success\"}";
    private const string Failure = "dynamic_sharding_cleanup_passes_total{result=\"failure\"}";

    private static readonly string[] Jobs = [.. Enumerable.Range(0, 20).Select(i => $"j{i}")];

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task No_pass_begins_before_settle_nor_while_a_gateway_joins_or_is_held()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(4);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        long begun = TimeProvider.System.GetTimestamp();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(all[..3]));
        await WaitAsync(server, "the ring has changed and is not settled yet");
        Assert.Equal(0, await PassesAsync(server));
        await Eventually.TrueAsync(async () => await PassesAsync(server) > 0, Limit, () => "a first pass");
        Assert.True(TimeProvider.System.GetElapsedTime(begun) >= TimeSpan.FromSeconds(10), "a pass before settle");

        server.WriteConfig(Config(all));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await RestsWhileAsync(server, $"{all[3]} is joining");
        await server.WaitForRingAsync(all, Limit);
        double joined = await PassesAsync(server);
        await WaitAsync(server, "the ring has changed and is not settled yet");
        await Eventually.TrueAsync(async () => await PassesAsync(server) > joined, Limit, () => "a pass after the change");

        // Three of four at once are more than may leave.
        foreach (PushgatewayProcess gateway in gateways[..3]) gateway.Process.Kill();
        await Eventually.TrueAsync(async () => (await WaitingAsync(server))?.EndsWith(" is held", StringComparison.Ordinal) == true, Limit, () => "held");
        await RestsWhileAsync(server, $"{all[0]} is held");
        await server.WaitForRingAsync(all, Limit);
    }

    [Fact]
    public async Task A_gateway_that_restarts_with_what_was_deleted_is_cleaned_before_the_interval_is_over()
    {
        using TemporaryFolder folder = new();
        string file = Path.Combine(folder.Path, "groups"), address = FreePort.NextAddress();
        string[] jobs = [.. Enumerable.Range(0, 20).Select(i => $"j{i}")];
        PushgatewayProcess other = await TestPeers.PushgatewayAsync();

        // Only a gateway that is asked to stop writes its file at once.
        await using (PushgatewayProcess first = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file))
        {
            foreach (string job in jobs) await StaleCopyTests.PushAsync(first, job);
            first.Process.Terminate();
            await first.Process.WaitForExitAsync(TimeSpan.FromSeconds(10));
        }

        await using PushgatewayProcess second = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file);
        await Task.Delay(CleanedGateways.Older);
        foreach (string job in jobs) await StaleCopyTests.PushAsync(other, job);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Unprobed("enabled: true, interval: 1h, settle: 1s, margin: 0s", address, other.Address));
        await Eventually.TrueAsync(async () => await PassesAsync(server) == 1, Limit, () => "the first pass");
        int left = (await server.OwnersOfAsync(jobs.Select(job => $"/metrics/job/{job}"))).Count(owner => owner.Value == address);
        Assert.InRange(left, 1, jobs.Length - 1);
        await Eventually.TrueAsync(async () => (await second.GroupsAsync()).Length == left, Limit, () => "the deletions of the first pass");
        second.Process.Kill();

        await using PushgatewayProcess third = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file);
        Assert.Equal(jobs.Length, (await third.GroupsAsync()).Length);
        await Eventually.TrueAsync(async () => (await third.GroupsAsync()).Length == left, Limit, () => "a pass after the restart");
        await Eventually.TrueAsync(async () => await PassesAsync(server) == 2, Limit, () => "its count");
        Assert.Equal(jobs.Length, (await other.GroupsAsync()).Length);
    }

    [Theory]
    [InlineData("enabled: false")]
    [InlineData("enabled: true, dry_run: true, interval: 1h, settle: 1s, margin: 0s")]
    public async Task A_reload_in_the_middle_of_a_pass_ends_it_without_a_delete(string cleanup)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        string[] jobs = [.. Enumerable.Range(0, 20).Select(i => $"j{i}")];
        foreach (PushgatewayProcess gateway in gateways)
        {
            foreach (string job in jobs) await StaleCopyTests.PushAsync(gateway, job);
            await Task.Delay(CleanedGateways.Older);
        }

        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Unprobed("enabled: true, interval: 1h, settle: 1s, margin: 0s", all));
        await Eventually.TrueAsync(async () => (await CleanupAsync(server)).GetProperty("running").GetBoolean(), Limit, () => "a pass");
        server.WriteConfig(Unprobed(cleanup, all));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);

        await server.WaitForLogAsync(Limit, "cleanup pass ended early", "the configuration was reloaded");
        bool isDry = cleanup.Contains("dry_run", StringComparison.Ordinal);
        if (isDry) await server.WaitForLogAsync(Limit, "would delete a copy of a group", "reason=stale");
        else Assert.False((await CleanupAsync(server)).GetProperty("enabled").GetBoolean());
        await Task.Delay(TimeSpan.FromSeconds(3));
        foreach (PushgatewayProcess gateway in gateways) Assert.Equal(jobs.Length, (await gateway.GroupsAsync()).Length);
        Assert.False(server.HasLogged("deleted a copy of a group"));
        Assert.Equal(1, await server.MetricAsync(Failure));
    }

    [Fact]
    public async Task A_former_member_is_a_target_until_it_is_empty()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Unprobed("enabled: true, interval: 1s, settle: 1s, margin: 0s", all));
        string path = "/metrics/job/a", owner = await server.OwnerOfAsync(path);
        PushgatewayProcess former = gateways.Single(gateway => gateway.Address == owner), kept = gateways.Single(gateway => gateway.Address != owner);
        await former.SendAsync(HttpMethod.Put, path, "m 1\n");
        server.WriteConfig(Unprobed("enabled: true, interval: 1s, settle: 1s, margin: 0s", kept.Address));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await server.WaitForRingAsync([kept.Address], Limit);

        // Its only copy is not stale, so that Prometheus must go on.
        double before = await PassesAsync(server);
        await Eventually.TrueAsync(async () => await PassesAsync(server) > before + 1, Limit, () => "two passes");
        Assert.Equal(new[] { $"{former.Address} former", $"{kept.Address} member" }.Order(), (await TargetsAsync(server)).Order());

        await Task.Delay(CleanedGateways.Older);
        await kept.SendAsync(HttpMethod.Put, path, "m 2\n");
        await Eventually.TrueAsync(async () => (await TargetsAsync(server)).SequenceEqual([$"{kept.Address} member"]), Limit, () => "the former member is a target");
        Assert.Empty(await former.GroupsAsync());
        JsonElement[] read = [];
        await Eventually.TrueAsync(
            async () => (read = [.. (await CleanupAsync(server)).GetProperty("last_pass").GetProperty("gateways").EnumerateArray()]).Length == 1, Limit, () => "a pass without it");
        Assert.Equal((kept.Address, true), (read[0].GetProperty("address").GetString(), read[0].GetProperty("in_ring").GetBoolean()));
    }

    [Fact]
    public async Task A_former_member_that_is_gone_is_a_state_and_a_member_that_cannot_be_read_is_a_failure()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        const string Often = "enabled: true, interval: 1s, settle: 1s, margin: 0s";
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Unprobed(Often, all));
        foreach (string job in Jobs) await StaleCopyTests.PushAsync(gateways[1], job);

        // An empty one is forgotten by the first pass that reads it.
        await StaleCopyTests.PushAsync(gateways[0], "kept");
        server.WriteConfig(Unprobed(Often, all[1..]));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await server.WaitForRingAsync(all[1..], Limit);
        await Eventually.TrueAsync(async () => await WaitingAsync(server) is null, Limit, () => "settled");
        gateways[0].Process.Kill();
        double before = await server.MetricAsync(Success);
        await Eventually.TrueAsync(async () => await server.MetricAsync(Success) > before + 3, Limit, () => "passes");
        Assert.Equal(0, await server.MetricAsync(Failure));
        Assert.Equal((0, 1), await UnreadAsync(server));
        Assert.Single(server.Process.Output.Split('\n'), line => line.Contains("gateway failed during cleanup", StringComparison.Ordinal));
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        Assert.Contains("(not in the ring: only what depends on it is left)", await admin.GetStringAsync(""), StringComparison.Ordinal);

        // What does not need its word is deleted.
        await Task.Delay(CleanedGateways.Older);
        foreach (string job in Jobs) await StaleCopyTests.PushAsync(gateways[2], job);
        Dictionary<string, string> owners = await server.OwnersOfAsync(Jobs.Select(job => $"/metrics/job/{job}"));
        int stale = owners.Count(owner => owner.Value == all[2]);
        Assert.InRange(stale, 1, Jobs.Length - 1);
        await Eventually.TrueAsync(async () => (await gateways[1].GroupsAsync()).Length == Jobs.Length - stale, Limit, () => "stale copies go");

        gateways[2].Process.Kill();
        await Eventually.TrueAsync(async () => await server.MetricAsync(Failure) > 0, Limit, () => "a failure");
        await Eventually.TrueAsync(async () => await UnreadAsync(server) == (1, 1), Limit, () => "one of each");
        Assert.Equal(Jobs.Length - stale, (await gateways[1].GroupsAsync()).Length);
    }

    private static async Task<(int Members, int Others)> UnreadAsync(DynamicShardingProcess server) => (
        (int)await server.MetricAsync("dynamic_sharding_cleanup_unread_gateways{in_ring=\"true\"}"),
        (int)await server.MetricAsync("dynamic_sharding_cleanup_unread_gateways{in_ring=\"false\"}"));

    private static async Task<string[]> TargetsAsync(DynamicShardingProcess server)
    {
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        using JsonDocument document = JsonDocument.Parse(await admin.GetStringAsync("api/v1/sd"));
        return [.. document.RootElement.EnumerateArray().Select(group =>
            $"{group.GetProperty("targets")[0].GetString()} {group.GetProperty("labels").GetProperty("__meta_dynamic_sharding_state").GetString()}")];
    }

    /// <summary>No pass begins while the server waits for this, which it does for several intervals.</summary>
    private static async Task RestsWhileAsync(DynamicShardingProcess server, string waiting)
    {
        await WaitAsync(server, waiting);

        // One that began before may still end.
        await Task.Delay(TimeSpan.FromSeconds(1));
        double before = await PassesAsync(server);
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.Equal(waiting, await WaitingAsync(server));
        Assert.Equal(before, await PassesAsync(server));
    }

    private static Task<TimeSpan> WaitAsync(DynamicShardingProcess server, string waiting) =>
        Eventually.TrueAsync(async () => await WaitingAsync(server) == waiting, Limit, () => $"never: {waiting}");

    private static async Task<string?> WaitingAsync(DynamicShardingProcess server) => (await CleanupAsync(server)).GetProperty("waiting").GetString();

    private static async Task<double> PassesAsync(DynamicShardingProcess server) => await server.MetricAsync(Success) + await server.MetricAsync(Failure);

    private static async Task<JsonElement> CleanupAsync(DynamicShardingProcess server)
    {
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        using JsonDocument document = JsonDocument.Parse(await admin.GetStringAsync("api/v1/cleanup"));
        return document.RootElement.Clone();
    }

    private static string Config(string[] gateways) => $$"""
        pushgateway: { servers: [{{List(gateways)}}], health_check: { interval: 1s, timeout: 1s } }
        membership: { settle: 4s, admit_after: 12s, mass_loss_hold: 40s }
        cleanup: { enabled: true, interval: 1s, settle: 10s, margin: 0s }

        """;

    /// <summary>Without health checks, the ring is the list.</summary>
    private static string Unprobed(string cleanup, params string[] gateways) => $$"""
        pushgateway: { servers: [{{List(gateways)}}], health_check: { enabled: false } }
        cleanup: { {{cleanup}} }

        """;

    private static string List(IEnumerable<string> gateways) => string.Join(", ", gateways.Select(address => $"\"{address}\""));
}
