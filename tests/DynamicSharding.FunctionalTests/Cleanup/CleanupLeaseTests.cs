using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>The lease in a real Consul with access control: lost in the middle of a pass, refused, and of no use while instances disagree.</summary>
[Trait("Category", "Slow")]
public sealed class CleanupLeaseTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Deleted = "deleted a copy of a group", Lost = "no longer holding the cleanup lease";
    private const string Passes = "dynamic_sharding_cleanup_passes_total{result=\"success\"}";
    private const string Register = "service \"pushgateway\" { policy = \"write\" }\nnode_prefix \"\" { policy = \"read\" }\n";

    /// <summary>As docs/cleanup.md has it.</summary>
    private const string Session = "session_prefix \"\" { policy = \"write\" }\n", Keys = "key_prefix \"dynamic-sharding/\" { policy = \"write\" }\n";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(150);

    private readonly TemporaryFolder _folder = new();
    private ConsulAgent _consul = null!;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_session_that_is_revoked_in_the_middle_of_deletions_ends_them_and_another_instance_takes_over()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        await using var old = new SlowDeletes(gateways[0].Address);
        await using var owner = new SlowDeletes(gateways[1].Address);
        string[] addresses = [old.Address, owner.Address], jobs = [.. Enumerable.Range(0, 240).Select(i => $"j{i}")];
        foreach (PushgatewayProcess gateway in gateways)
        {
            foreach (string job in jobs) await StaleCopyTests.PushAsync(gateway, job);
            await Task.Delay(CleanedGateways.Older);
        }

        await StartConsulAsync();
        (DynamicShardingProcess Server, string Token)[] servers = [await StartAsync(addresses, Register + Session + Keys), await StartAsync(addresses, Register + Session + Keys)];
        int stale = (await servers[0].Server.OwnersOfAsync(jobs.Select(job => $"/metrics/job/{job}"))).Count(pair => pair.Value == owner.Address);
        await Eventually.TrueAsync(() => Task.FromResult(servers.Any(server => Lines(server.Server, Deleted).Length > 3)), Limit, () => "no pass deletes");
        int first = servers[0].Server.HasLogged(Deleted) ? 0 : 1;
        (DynamicShardingProcess holder, string token) = servers[first];
        DynamicShardingProcess other = servers[1 - first].Server;
        Assert.False(other.HasLogged(Deleted));

        string session = (await _consul.GetAsync("v1/kv/dynamic-sharding/pushgateway/cleanup/lease"))[0].GetProperty("Session").GetString()!;
        await _consul.PutAsync("v1/session/destroy/" + session);
        await holder.WaitForLogAsync(Limit, Lost);

        // So that it does not get the lease again.
        await _consul.DeleteAsync("v1/acl/token/" + token);
        int byHolder = Lines(holder, Deleted).Length;
        Assert.True(byHolder < stale - 10, $"{byHolder} of {stale} deleted before the loss was noticed");
        await holder.WaitForLogAsync(Limit, "cleanup pass ended early", "the lease is lost");
        await other.WaitForLogAsync(Limit, "holding the cleanup lease");
        await Eventually.TrueAsync(async () => (await gateways[0].GroupsAsync()).Length == jobs.Length - stale, Limit, () => "the other does the rest");
        Assert.True(other.HasLogged(Deleted));

        // The DELETE that was in flight may have been logged after the loss; nothing else.
        string[] log = holder.Process.Output.Split('\n');
        int after = log.Skip(Array.FindIndex(log, line => line.Contains(Lost, StringComparison.Ordinal))).Count(line => line.Contains(Deleted, StringComparison.Ordinal));
        Assert.InRange(after, 0, 1);
        Assert.Equal(jobs.Length, (await gateways[1].GroupsAsync()).Length);
    }

    [Theory]
    [InlineData(Keys)]
    [InlineData(Session)]
    public async Task Without_the_right_to_sessions_or_keys_nothing_is_cleaned_and_everything_says_why(string rights)
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(2)).Select(gateway => gateway.Address)];
        await StartConsulAsync();
        (DynamicShardingProcess server, _) = await StartAsync(gateways, Register + rights);
        await server.WaitForLogAsync(Limit, "cannot ask for the cleanup lease", "Permission denied", "session_prefix", "key_prefix");
        await Eventually.TrueAsync(async () => await server.MetricAsync("dynamic_sharding_cleanup_lease_failures_total") >= 2, Limit, () => "failures are counted");
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        await Eventually.TrueAsync(async () => (await admin.GetStringAsync("")).Contains("No pass now: no lease: status 403", StringComparison.Ordinal), Limit, () => "the page");
        Assert.Contains("\"waiting\": \"no lease: status 403", (await admin.GetStringAsync("api/v1/cleanup")).Replace("\":\"", "\": \"", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal((0, 0), (await server.MetricAsync(Passes), await server.MetricAsync("dynamic_sharding_cleanup_lease_held")));
        Assert.Single(Lines(server, "cannot ask for the cleanup lease"));
    }

    [Fact]
    public async Task Instances_with_different_rings_do_not_clean_until_they_agree()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(2)).Select(gateway => gateway.Address)];
        await StartConsulAsync();
        (DynamicShardingProcess one, _) = await StartAsync(gateways, Register + Session + Keys, "sharding: { replicas: 100 }\n");
        (DynamicShardingProcess other, _) = await StartAsync(gateways, Register + Session + Keys);
        foreach (DynamicShardingProcess server in (DynamicShardingProcess[])[one, other])
        {
            using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
            await Eventually.TrueAsync(
                async () => (await admin.GetStringAsync("api/v1/cleanup")).Contains("instances have different rings", StringComparison.Ordinal), Limit, () => "they disagree");
        }

        // Several intervals.
        double before = await one.MetricAsync(Passes) + await other.MetricAsync(Passes);
        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.Equal(before, await one.MetricAsync(Passes) + await other.MetricAsync(Passes));
        other.Process.Terminate();
        await other.Process.WaitForExitAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(async () => await one.MetricAsync(Passes) > before, Limit, () => "a pass of the one that is left");
    }

    private static string[] Lines(DynamicShardingProcess server, string text) => [.. server.Process.Output.Split('\n').Where(line => line.Contains(text, StringComparison.Ordinal))];

    private async Task StartConsulAsync() =>
        _consul = await TestPeers.ConsulAsync(ConsulAgentSettings.Development() with { MasterToken = Guid.NewGuid().ToString() });

    /// <returns>The server, and the accessor of its token.</returns>
    private async Task<(DynamicShardingProcess Server, string Token)> StartAsync(string[] gateways, string rules, string more = "")
    {
        (string accessor, string secret) = await _consul.CreateTokenAsync(rules);
        string file = _folder.Write(accessor, secret);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            consul_server: { addr: "{{_consul.Address}}", token_file: "{{file}}" }
            pushgateway:
              servers: [{{string.Join(", ", gateways.Select(address => $"\"{address}\""))}}]
              health_check: { interval: 1s, timeout: 1s }
            membership: { admit_after: 1s }
            cleanup: { enabled: true, interval: 1s, settle: 3s, margin: 0s }
            {{more}}
            """);
        await _consul.WaitForPassingAsync("pushgateway", gateways, Limit);
        await server.WaitForMembersAsync(gateways, Limit);
        return (server, accessor);
    }

    /// <summary>Between the cleaner and a gateway: each DELETE takes a while, everything else does not.</summary>
    private sealed class SlowDeletes : IAsyncDisposable
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(150);

        private readonly LoopbackServer _server;

        public SlowDeletes(string gateway) => _server = new LoopbackServer(async (client, stop) =>
        {
            using var upstream = new TcpClient();
            await upstream.ConnectAsync(System.Net.IPEndPoint.Parse(gateway), stop);
            await using NetworkStream outside = new(client), inside = upstream.GetStream();
            Task responses = inside.CopyToAsync(outside, stop);
            byte[] buffer = new byte[64 * 1024];
            while (await outside.ReadAsync(buffer, stop) is > 0 and int read)
            {
                if (Encoding.ASCII.GetString(buffer, 0, Math.Min(read, 7)) == "DELETE ") await Task.Delay(Pause, stop);
                await inside.WriteAsync(buffer.AsMemory(0, read), stop);
            }

            upstream.Client.Shutdown(SocketShutdown.Send);
            await responses;
        });

        public string Address => _server.Address;

        public ValueTask DisposeAsync() => _server.DisposeAsync();
    }
}
