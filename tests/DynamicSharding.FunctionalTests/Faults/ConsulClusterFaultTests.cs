using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>4. The leader of three servers dies; a restored snapshot moves the index backwards.</summary>
public sealed class ConsulClusterFaultTests(ITestOutputHelper output) : FaultTest(output)
{
    private const double MostRequestsPerSecond = 2;

    /// <summary>Far below the 60 s of a poll, after which a hidden change is seen anyway. Measured values are tenths of a second.</summary>
    private static readonly TimeSpan SeenWithin = TimeSpan.FromSeconds(20);

    [Fact]
    public Task The_leaders_death_changes_nothing_and_a_restored_snapshot_hides_nothing() => BreakAsync(raftMultiplier: 3, restores: 1);

    [Fact, Trait("Category", "Slow")]
    public Task The_leaders_death_with_elections_as_slow_as_by_default() => BreakAsync(raftMultiplier: 5, restores: 5);

    /// <summary>Stale reads succeed without a leader, and a poll tells what was true when it began.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task A_lost_quorum_changes_nothing_and_shows_after_two_polls_and_its_return_within_half_a_minute()
    {
        const string KnownLeader = "dynamic_sharding_consul_known_leader";
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulCluster cluster = await ConsulCluster.StartAsync(TestPeers, Folder.Path, raftMultiplier: 3);
        ConsulAgent[] all = [.. cluster.Servers];
        ConsulAgent survivor = await cluster.FollowerAsync();
        await using RequestCounter counter = new(survivor.Address);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml(counter.Address, addresses, "interval: 2s, timeout: 1s"));
        await SettleAsync(survivor, addresses, server);
        await survivor.WaitForPassingAsync("pushgateway", addresses, Limit, isOwnView: true);
        Assert.Equal(1, await server.MetricAsync(KnownLeader));
        await using RedirectLoad load = await RedirectLoad.KeepsOwnersAsync(server);

        ConsulAgent[] others = [.. all.Where(agent => agent != survivor)];
        foreach (ConsulAgent agent in others) agent.Process.Kill();
        foreach (ConsulAgent agent in others) await agent.Process.WaitForExitAsync(Limit);
        Measured("quorum lost, metric after", await Eventually.TrueAsync(
            async () => await server.MetricAsync(KnownLeader) == 0, TimeSpan.FromMinutes(3), () => "the metric says that there is no leader"));
        Assert.Contains(await server.WarningsAsync(), static warning => warning.Contains("have no leader", StringComparison.Ordinal));

        long requests = counter.Requests, start = Stopwatch.GetTimestamp();
        await Task.Delay(TimeSpan.FromSeconds(40));
        Rate("without a quorum, stale", counter.Requests - requests, Stopwatch.GetElapsedTime(start).TotalSeconds);
        await TestPeers.ConsulsAsync(others.Select(static agent => agent.Settings));
        Measured("quorum regained, metric after", await Eventually.TrueAsync(
            async () => await server.MetricAsync(KnownLeader) == 1, Limit, () => "the metric says that there is a leader"));
        Assert.DoesNotContain(await server.WarningsAsync(), static warning => warning.Contains("have no leader", StringComparison.Ordinal));
        await NothingChangedAsync(server);
        Measured("a lost quorum", $"0 ring changes, 0 of {await load.StopAsync()} redirects wrong");
    }

    private async Task BreakAsync(int raftMultiplier, int restores)
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        ConsulCluster cluster = await ConsulCluster.StartAsync(TestPeers, Folder.Path, raftMultiplier);
        ConsulAgent leader = await cluster.LeaderAsync();
        ConsulAgent follower = await cluster.FollowerAsync();

        // One uses the default and reads from any server; the other reads only through the leader, and could spin without one.
        await using RequestCounter stale = new(follower.Address);
        await using RequestCounter strict = new(follower.Address);
        const string More = "membership: { settle: 100ms, admit_after: 1s }\n";
        DynamicShardingProcess staleServer = await TestPeers.DynamicShardingAsync(Yaml(stale.Address, addresses, "interval: 2s, timeout: 1s", More));
        DynamicShardingProcess strictServer = await TestPeers.DynamicShardingAsync(
            $"consul_server: {{ addr: \"{strict.Address}\", consistency: default }}\n" + Yaml(null, addresses, "interval: 2s, timeout: 1s", More));
        DynamicShardingProcess[] servers = [staleServer, strictServer];
        await SettleAsync(follower, addresses, servers);

        for (int i = 0; i < restores; i++) await RestoreAsync(leader, follower, servers, addresses);
        long[] changes = await Task.WhenAll(servers.Select(server => server.ChangesAsync()));

        await using RedirectLoad load = await RedirectLoad.KeepsOwnersAsync(strictServer);
        long[] requests = [stale.Requests, strict.Requests];
        long start = Stopwatch.GetTimestamp();
        leader.Process.Kill();
        await leader.Process.WaitForExitAsync(Limit);
        Measured($"a new leader (raft_multiplier {raftMultiplier}) after", await cluster.WaitForLeaderAsync(Limit));
        await Task.Delay(TimeSpan.FromSeconds(6));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Rate("stale", stale.Requests - requests[0], seconds);
        Rate("default", strict.Requests - requests[1], seconds);

        // Recovered by itself: new changes are seen.
        await Task.WhenAll(servers.Select((server, i) => Eventually.TrueAsync(
            async () => (await server.StatusAsync()).GetProperty("discovery").GetProperty("last_error").GetString() is null,
            Limit,
            () => "no error any more")));
        Assert.Equal(changes, await Task.WhenAll(servers.Select(server => server.ChangesAsync())));
        Measured("the leader's death", $"0 ring changes, 0 of {await load.StopAsync()} redirects wrong");
        await DrainAsync(follower, servers, addresses, "a drain after the election seen after");
    }

    private void Rate(string consistency, long requests, double seconds)
    {
        Measured($"requests to Consul without a leader, {consistency} reads", string.Create(CultureInfo.InvariantCulture, $"{requests / seconds:0.00}/s"));
        Assert.True(requests / seconds <= MostRequestsPerSecond, $"{requests} requests in {seconds:0.0} s");
    }

    private async Task RestoreAsync(ConsulAgent leader, ConsulAgent follower, DynamicShardingProcess[] servers, string[] addresses)
    {
        byte[] snapshot = await leader.SaveSnapshotAsync();
        for (int i = 0; i < 50; i++) await leader.PutAsync("v1/kv/noise", string.Create(CultureInfo.InvariantCulture, $"{i}"));

        // A write that moves the watched index.
        await DrainAsync(follower, servers, addresses, "a drain seen after");
        long before = await follower.IndexAsync("v1/health/service/pushgateway");
        await leader.RestoreSnapshotAsync(snapshot);
        long after = await follower.IndexAsync("v1/health/service/pushgateway");
        Assert.True(after < before, $"the index went from {before} to {after}, not backwards");
        await DrainAsync(follower, servers, addresses, "a drain right after a snapshot was restored seen after");
    }

    private async Task DrainAsync(ConsulAgent agent, DynamicShardingProcess[] servers, string[] addresses, string what)
    {
        string service = "v1/agent/service/maintenance/" + ConsulAgent.ServiceId(addresses[0]);
        long start = Stopwatch.GetTimestamp();
        await agent.PutAsync(service + "?enable=true&reason=test");
        await Task.WhenAll(servers.Select(server => server.WaitForMembersAsync(addresses[1..], Limit)));
        TimeSpan seen = Stopwatch.GetElapsedTime(start);
        Measured(what, seen);
        Assert.True(seen <= SeenWithin, $"{what} {seen.TotalSeconds:0.0} s");
        await agent.PutAsync(service + "?enable=false");
        await Task.WhenAll(servers.Select(server => server.WaitForMembersAsync(addresses, Limit)));
    }
}
