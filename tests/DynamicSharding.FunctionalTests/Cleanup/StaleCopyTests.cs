using DynamicSharding.Cleanup;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Cleanup.CleanedGateways;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>What a pass deletes on real Pushgateways, and what it leaves.</summary>
public sealed class StaleCopyTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task After_a_gateway_joins_each_group_is_on_one_gateway_and_no_newest_copy_is_lost()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(4);
        Dictionary<string, PushgatewayProcess> byAddress = gateways.ToDictionary(gateway => gateway.Address);
        string[] all = [.. byAddress.Keys];
        HashRing<Gateway> before = RingOf(all[..3]), after = RingOf(all);
        string[] jobs = [.. Enumerable.Range(0, 80).Select(i => $"j{i}")];
        foreach (string job in jobs) await PushAsync(byAddress[OwnerOf(before, job)], job);
        string[] moved = [.. jobs.Where(job => OwnerOf(before, job) != OwnerOf(after, job))];
        Assert.InRange(moved.Length, 3, jobs.Length - 1);
        string silent = moved[0];
        await Task.Delay(Older);
        foreach (string job in jobs.Where(job => job != silent)) await PushAsync(byAddress[OwnerOf(after, job)], job);

        using var cleaner = new CleanedGateways();
        CleanupReport report = await cleaner.PassAsync(after, all);

        Assert.Equal(moved.Length - 1, Deleted(report, DeleteReason.Stale));
        Assert.Equal([$"{{job=\"{silent}\"}} OwnerMissing"], Left(report));
        Assert.Equal((jobs.Length + moved.Length - 1, moved.Length, 0L), ((int)report.Groups, (int)report.Misplaced, report.Stale));
        foreach (string address in all)
        {
            await WaitForGroupsAsync(byAddress[address], jobs.Where(job => OwnerOf(job == silent ? before : after, job) == address).Select(job => "job=" + job));
        }
    }

    [Fact]
    public async Task A_push_that_a_stale_copy_of_another_type_makes_fail_is_taken_after_the_pass()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        PushgatewayProcess old = gateways[0], owner = gateways[1];
        await old.SendAsync(HttpMethod.Put, Path(("job", "moved")), "# TYPE shared counter\nshared 1\n");
        await Task.Delay(Older);
        await owner.SendAsync(HttpMethod.Put, Path(("job", "moved")), "# TYPE shared gauge\nshared 1\n");
        Exception refused = await Assert.ThrowsAnyAsync<Exception>(() => old.SendAsync(HttpMethod.Put, Path(("job", "other")), "# TYPE shared gauge\nshared 2\n"));
        Assert.Contains("400", refused.Message, StringComparison.Ordinal);

        // The refused push made a group without a metric; it is of no matter here.
        using var cleaner = new CleanedGateways();
        CleanupReport report = await cleaner.PassAsync(RingOf(owner.Address), [old.Address, owner.Address]);

        Assert.Equal(1, Deleted(report, DeleteReason.Stale));
        await WaitForGroupsAsync(old, "job=other");
        await old.SendAsync(HttpMethod.Put, Path(("job", "other")), "# TYPE shared gauge\nshared 2\n");
    }

    [Fact]
    public async Task Any_group_can_be_named_and_a_metric_cannot_hide_one()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        PushgatewayProcess old = gateways[0], owner = gateways[1];
        (string, string)[][] groups =
        [
            [("job", "a/b")], [("job", "a b+c%20")], [("job", "é\u00a0☃")], [("job", "dots"), ("x", "..")], [("job", "empty"), ("instance", "")], [("job", "empty value"), ("zone", "")],
            [("job", "quote\"\\\n")], [("job", "tricky"), ("U__f_2e_b", "x")], [("job", "parts"), ("metrics", "m"), ("type", "t")], [("job", "@base64"), ("y", "=")],
            [("job", "hidden"), ("instance", "i")], [("job", "hidden")],
        ];
        foreach (PushgatewayProcess gateway in gateways)
        {
            foreach ((string Name, string Value)[] labels in groups)
            {
                await gateway.SendAsync(HttpMethod.Put, Path(labels), labels[0].Value == "hidden" ? "labels 1\nlast_push_successful 0\n" : "m 1\n");
            }

            if (gateway == old) await Task.Delay(Older);
        }

        using var cleaner = new CleanedGateways();
        CleanupReport report = await cleaner.PassAsync(RingOf(owner.Address), [old.Address, owner.Address]);

        // Without an instance, the metric named labels hides whether the group has an empty one.
        Assert.Equal(["{job=\"hidden\", instance=\"\"} Unnameable"], Left(report));
        Assert.Equal(groups.Length - 1, Deleted(report, DeleteReason.Stale));
        await Eventually.TrueAsync(async () => (await CountAsync(old)) == 1, TimeSpan.FromSeconds(10), () => "one group left");
        Assert.Equal(groups.Length, await CountAsync(owner));
    }

    [Fact]
    public async Task What_the_rule_does_not_allow_is_left_with_its_reason()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        PushgatewayProcess old = gateways[0], owner = gateways[1];
        string[] addresses = [old.Address, owner.Address];
        foreach (string job in new[] { "missing", "partial", "failed", "changed", "stale", "manual_1" }) await PushAsync(old, job);
        await PushAsync(owner, "older");
        await old.SendAsync(HttpMethod.Post, Path(("job", "partial")), "only_here 1\n");
        await Task.Delay(Older);
        await PushAsync(old, "older");
        foreach (string job in new[] { "partial", "failed", "changed", "stale", "manual_1" }) await PushAsync(owner, job);
        await Assert.ThrowsAnyAsync<Exception>(() => owner.SendAsync(HttpMethod.Put, Path(("job", "failed")), "# TYPE m counter\nm 2\n"));

        GroupMatch("job=~\"manual_.*\"", out var manual);
        using var cleaner = new CleanedGateways { BetweenReadings = TimeSpan.FromSeconds(10) };
        cleaner.Options = cleaner.Options with { Exclude = [manual] };
        Task<CleanupReport> pass = cleaner.PassAsync(RingOf(owner.Address), addresses);
        await Task.Delay(TimeSpan.FromSeconds(2));
        await PushAsync(old, "changed");
        await Task.Delay(TimeSpan.FromSeconds(0.2));
        CleanupReport report = await pass;

        Assert.Equal(
            ["{job=\"changed\"} NotOlder", "{job=\"failed\"} OwnerFailed", "{job=\"missing\"} OwnerMissing", "{job=\"older\"} NotOlder", "{job=\"partial\"} MissingMetrics"],
            Left(report));
        Assert.Equal(1, Deleted(report, DeleteReason.Stale));
        await WaitForGroupsAsync(old, "job=missing", "job=partial", "job=failed", "job=changed", "job=older", "job=manual_1");
    }

    [Fact]
    public async Task A_dry_run_shows_what_it_would_delete_and_deletes_nothing()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        await PushAsync(gateways[0], "a");
        await Task.Delay(Older);
        await PushAsync(gateways[1], "a");
        using var cleaner = new CleanedGateways();
        cleaner.Options = cleaner.Options with { DryRun = true };

        CleanupReport report = await cleaner.PassAsync(RingOf(gateways[1].Address), gateways.Select(gateway => gateway.Address));

        Assert.True(report.DryRun);
        Assert.Equal(1, Deleted(report, DeleteReason.Stale));
        Assert.Equal(1, report.Stale);
        Assert.Equal(["job=a"], await gateways[0].GroupsAsync());
    }

    [Fact]
    public async Task Two_cleaners_at_once_and_with_different_rings_delete_no_newest_copy()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        string[] all = [.. gateways.Select(gateway => gateway.Address)];
        foreach (PushgatewayProcess gateway in gateways)
        {
            for (int i = 0; i < 20; i++) await PushAsync(gateway, $"j{i}");
            if (gateway != gateways[2]) await Task.Delay(Older);
        }

        // To the first, the second gateway owns everything; to the second, the third. The third has the newest copies.
        using CleanedGateways one = new(), other = new();
        await Task.WhenAll(one.PassAsync(RingOf(all[1]), all), other.PassAsync(RingOf(all[2]), all), one.PassAsync(RingOf(all[2]), all));

        await WaitForGroupsAsync(gateways[0]);
        await WaitForGroupsAsync(gateways[1]);
        Assert.Equal(20, await CountAsync(gateways[2]));
    }

    internal static void GroupMatch(string text, out DynamicSharding.Config.GroupMatcher matcher) => Assert.Null(DynamicSharding.Config.GroupMatcher.TryParse(text, out matcher));

    internal static Task PushAsync(PushgatewayProcess gateway, string job) => gateway.SendAsync(HttpMethod.Put, Path(("job", job)), "m 1\n");

    private static async Task<int> CountAsync(PushgatewayProcess gateway)
    {
        using HttpClient client = LoopbackHttp.Client(gateway.Address);
        using var json = System.Text.Json.JsonDocument.Parse(await client.GetStringAsync("api/v1/metrics"));
        return json.RootElement.GetProperty("data").GetArrayLength();
    }
}
