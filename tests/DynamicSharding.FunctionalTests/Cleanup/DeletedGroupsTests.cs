using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>A DELETE reaches the copies that a ring change left behind: real gateways, real pushes, both listeners.</summary>
[Trait("Category", "Slow")]
public sealed class DeletedGroupsTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Dry = "enabled: true, interval: 1s, settle: 1s, dry_run: true";
    private const string On = "enabled: true, interval: 1s, settle: 1s";

    /// <summary>No pass within the test.</summary>
    private const string AtOnce = "enabled: true, interval: 1h, settle: 1h";

    /// <summary>More than the margin, and more than twice what the Date field can be off.</summary>
    private static readonly TimeSpan Apart = TimeSpan.FromSeconds(3);

    /// <summary>Several passes.</summary>
    private static readonly TimeSpan Passes = TimeSpan.FromSeconds(6);

    private PushgatewayProcess _old = null!;
    private PushgatewayProcess _new = null!;

    [Theory, MemberData(nameof(DeleteServer.Listeners), MemberType = typeof(DeleteServer))]
    public async Task A_group_that_moved_and_was_not_pushed_again_is_gone_when_it_is_deleted(string listener)
    {
        (DeleteServer server, string path) = await MovedAsync(AtOnce);
        await server.DeleteAsync(listener, path);
        await GoneAsync(_old, path);
        Assert.Equal([Group(Neighbor(path))], await _old.GroupsAsync());
        await server.Process.WaitForLogAsync(DeleteServer.Limit, "level=info", "deleted a copy of a group", _old.Address, "reason=deleted");
    }

    [Theory, MemberData(nameof(DeleteServer.Listeners), MemberType = typeof(DeleteServer))]
    public async Task And_so_is_one_that_was_pushed_again(string listener)
    {
        (DeleteServer server, string path) = await MovedAsync();
        Assert.Equal(HttpStatusCode.OK, await server.Process.PushAsync(path, "v 2\n"));
        await Task.Delay(Apart);
        await server.DeleteAsync(listener, path);
        await GoneAsync(_old, path);
        await GoneAsync(_new, path);
    }

    [Theory, MemberData(nameof(DeleteServer.Listeners), MemberType = typeof(DeleteServer))]
    public async Task A_DELETE_before_the_change_counts_for_the_gateway_that_owns_the_group_after_it(string listener)
    {
        // Pushed to the one that is not the owner yet.
        (DeleteServer server, string path) = await MovedAsync();
        await server.SetGatewaysAsync(_old.Address);
        await _new.SendAsync(HttpMethod.Put, path, "v 1\n");
        await Task.Delay(Apart);
        await server.DeleteAsync(listener, path);
        await server.SetGatewaysAsync(_old.Address, _new.Address);
        await GoneAsync(_new, path);
        await GoneAsync(_old, path);
    }

    [Fact]
    public async Task A_redirected_DELETE_that_nobody_follows_deletes_nothing_until_somebody_does()
    {
        (DeleteServer server, string path) = await MovedAsync();
        Assert.Equal(HttpStatusCode.OK, await server.Process.PushAsync(path, "v 2\n"));
        await Task.Delay(Apart);
        Assert.Equal(HttpStatusCode.TemporaryRedirect, await server.TryDeleteAsync("redirect", path));
        await Task.Delay(Passes);
        Assert.Contains(Group(path), await _old.GroupsAsync());
        Assert.Contains(Group(path), await _new.GroupsAsync());

        await _new.SendAsync(HttpMethod.Delete, path, "");
        await GoneAsync(_old, path);
        await GoneAsync(_new, path);
    }

    [Theory, MemberData(nameof(DeleteServer.Listeners), MemberType = typeof(DeleteServer))]
    public async Task A_push_after_the_DELETE_wins_wherever_it_went(string listener)
    {
        (DeleteServer server, string path) = await MovedAsync();
        await server.DeleteAsync(listener, path);
        await GoneAsync(_old, path);
        await Task.Delay(Apart);

        // By an instance that has not heard of the change.
        await _old.SendAsync(HttpMethod.Put, path, "v 3\n");
        await Task.Delay(Passes);
        Assert.Contains(Group(path), await _old.GroupsAsync());
    }

    [Fact]
    public async Task A_push_that_may_have_come_after_the_DELETE_is_left()
    {
        (DeleteServer server, string path) = await MovedAsync();
        await server.DeleteAsync("forward", path);
        await _old.SendAsync(HttpMethod.Put, path, "v 3\n");
        await Task.Delay(Passes);
        Assert.Contains(Group(path), await _old.GroupsAsync());
    }

    [Fact]
    public async Task A_dry_run_reports_and_a_reload_carries_out()
    {
        (DeleteServer server, string path) = await MovedAsync(Dry);
        await server.DeleteAsync("redirect", path);
        await server.Process.WaitForLogAsync(DeleteServer.Limit, "would delete a copy of a group", _old.Address, "reason=deleted");
        await Task.Delay(Passes);
        Assert.Contains(Group(path), await _old.GroupsAsync());

        await server.SetCleanupAsync(On);
        await GoneAsync(_old, path);
    }

    [Fact]
    public async Task Without_cleanup_nothing_is_remembered()
    {
        (DeleteServer server, string path) = await MovedAsync("enabled: false, interval: 1s, settle: 1s");
        await server.DeleteAsync("forward", path);
        await server.SetCleanupAsync(On);
        await Task.Delay(Passes);
        Assert.Contains(Group(path), await _old.GroupsAsync());
        Assert.Equal(0, await server.Process.MetricAsync("dynamic_sharding_cleanup_remembered_deletes"));

        await server.DeleteAsync("forward", path);
        await GoneAsync(_old, path);
    }

    [Fact]
    public async Task A_restart_forgets()
    {
        (DeleteServer server, string path) = await MovedAsync(Dry);
        await server.DeleteAsync("forward", path);
        await server.Process.WaitForLogAsync(DeleteServer.Limit, "would delete a copy of a group", "reason=deleted");
        await server.RestartAsync(TestPeers);
        await server.SetCleanupAsync(On);
        await Task.Delay(Passes);
        Assert.Contains(Group(path), await _old.GroupsAsync());
    }

    [Fact]
    public async Task More_than_there_is_room_for_are_counted()
    {
        _old = await TestPeers.PushgatewayAsync();
        DeleteServer server = await DeleteServer.StartAsync(TestPeers, [_old.Address]);
        const int Count = 30_000;
        await server.FloodAsync(Count);
        await Eventually.TrueAsync(
            async () => await server.Process.MetricAsync("dynamic_sharding_cleanup_lost_deletes_total")
                + await server.Process.MetricAsync("dynamic_sharding_cleanup_remembered_deletes") == Count,
            DeleteServer.Limit,
            () => "every DELETE remembered or counted as lost");
        Assert.InRange(await server.Process.MetricAsync("dynamic_sharding_cleanup_remembered_deletes"), 1, 10_000);
    }

    [Fact]
    public async Task A_gateway_that_comes_back_with_what_was_deleted_is_cleaned_again()
    {
        using TemporaryFolder folder = new();
        string file = System.IO.Path.Combine(folder.Path, "groups");
        string address = FreePort.NextAddress();
        PushgatewayProcess first = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file, "--persistence.interval=1s");
        _new = await TestPeers.PushgatewayAsync();
        DeleteServer server = await DeleteServer.StartAsync(TestPeers, [address, _new.Address]);
        string path = await server.PathOfAsync(_new.Address);
        await first.SendAsync(HttpMethod.Put, path, "v 1\n");
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(file)), DeleteServer.Limit, () => "no file");
        byte[] saved = await File.ReadAllBytesAsync(file);
        await Task.Delay(Apart);
        await server.DeleteAsync("forward", path);
        await GoneAsync(first, path);
        await Task.Delay(Passes);

        const string Deletions = "dynamic_sharding_cleanup_deleted_total{reason=\"deleted\"}";
        double before = await server.Process.MetricAsync(Deletions);
        await first.DisposeAsync();
        await File.WriteAllBytesAsync(file, saved);
        await using PushgatewayProcess second = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file);

        // A pass may have been there already.
        await Eventually.TrueAsync(async () => await server.Process.MetricAsync(Deletions) > before, DeleteServer.Limit, () => "not deleted again");
        await GoneAsync(second, path);
    }

    /// <summary>A group that the new gateway owns and only the old one has, and another one that stays where it is.</summary>
    private async Task<(DeleteServer Server, string Path)> MovedAsync(string cleanup = On)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        (_old, _new) = (gateways[0], gateways[1]);
        DeleteServer server = await DeleteServer.StartAsync(TestPeers, [_old.Address, _new.Address], cleanup);
        string path = await server.PathOfAsync(_new.Address);
        await server.SetGatewaysAsync(_old.Address);
        foreach (string each in (string[])[path, Neighbor(path)]) Assert.Equal(HttpStatusCode.OK, await server.Process.PushAsync(each, "v 1\n"));
        await Task.Delay(Apart);
        await server.SetGatewaysAsync(_old.Address, _new.Address);
        return (server, path);
    }

    /// <summary>Nearly the same group: without the empty label, which the ring does not tell apart.</summary>
    private static string Neighbor(string path) => path + "/empty@base64/=";

    private static string Group(string path)
    {
        string[] parts = path.Split('/');
        return PushgatewayProcess.Describe(
        [
            new("job", parts[3]), new("zone", "a/b"), new("instance", "x"), .. path.EndsWith("empty@base64/=", StringComparison.Ordinal) ? (KeyValuePair<string, string>[])[new("empty", "")] : [],
        ]);
    }

    private static Task<TimeSpan> GoneAsync(PushgatewayProcess gateway, string path) => Eventually.TrueAsync(
        async () => !(await gateway.GroupsAsync()).Contains(Group(path)), DeleteServer.Limit, () => $"{path} is still on {gateway.Address}");
}
