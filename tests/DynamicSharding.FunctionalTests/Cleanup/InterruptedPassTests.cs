using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Cleanup.CleanedGateways;
using static DynamicSharding.FunctionalTests.Cleanup.StaleCopyTests;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>Gateways that cannot be read or restart, passes that end early, DELETEs of clients, and groups that expire.</summary>
public sealed class InterruptedPassTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task A_gateway_that_hangs_in_the_middle_of_its_json_is_reported_and_nothing_that_needs_its_word_is_deleted()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        using var hanging = new HangingGateway();
        var ring = RingOf(gateways[1].Address, hanging.Address);
        string[] jobs = [.. Enumerable.Range(0, 20).Select(i => $"j{i}")];
        foreach (string job in jobs) await PushAsync(gateways[0], job);
        await Task.Delay(Older);
        foreach (string job in jobs) await PushAsync(gateways[1], job);
        string[] needsIt = [.. jobs.Where(job => OwnerOf(ring, job) == hanging.Address)];
        Assert.InRange(needsIt.Length, 1, jobs.Length - 1);

        GroupMatch("job=~\".+\"", out GroupMatcher all);
        using var cleaner = new CleanedGateways(silence: TimeSpan.FromSeconds(3));
        cleaner.Options = cleaner.Options with { Expire = [new ExpireRule([all], TimeSpan.FromMilliseconds(1))] };
        CleanupReport unexpired = await cleaner.PassAsync(ring, [gateways[0].Address, gateways[1].Address, hanging.Address]);
        Assert.Equal(0, Deleted(unexpired, DeleteReason.Expired));

        cleaner.Options = cleaner.Options with { Expire = [] };
        CleanupReport report = await cleaner.PassAsync(ring, [gateways[0].Address, gateways[1].Address, hanging.Address]);

        string? error = report.Gateways.Single(gateway => gateway.Address == hanging.Address).Error;
        Assert.Equal($"{hanging.Address}: GET /api/v1/metrics: nothing more of the response for 3 s", error);
        Assert.False(report.IsSuccess);
        Assert.Equal(jobs.Length - needsIt.Length, Deleted(report, DeleteReason.Stale));
        await WaitForGroupsAsync(gateways[0], needsIt.Select(job => "job=" + job));
    }

    [Fact]
    public async Task A_gateway_that_restarts_with_a_persistence_file_is_cleaned_again()
    {
        using TemporaryFolder folder = new();
        string file = System.IO.Path.Combine(folder.Path, "groups"), address = FreePort.NextAddress();
        PushgatewayProcess owner = await TestPeers.PushgatewayAsync();
        await using (PushgatewayProcess first = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file))
        {
            await PushAsync(first, "a");
            first.Process.Terminate();
            await first.Process.WaitForExitAsync(TimeSpan.FromSeconds(10));
        }

        await Task.Delay(Older);
        await PushAsync(owner, "a");
        using var cleaner = new CleanedGateways();
        for (int life = 0; life < 2; life++)
        {
            await using PushgatewayProcess old = await PushgatewayProcess.StartAsync(address, "--persistence.file=" + file);
            Assert.Equal(["job=a"], await old.GroupsAsync());
            Assert.Equal(1, Deleted(await cleaner.PassAsync(RingOf(owner.Address), [address, owner.Address]), DeleteReason.Stale));
            await WaitForGroupsAsync(old);

            // What it deleted was not written yet.
            old.Process.Kill();
            await old.Process.WaitForExitAsync(TimeSpan.FromSeconds(10));
        }
    }

    [Fact]
    public async Task A_restart_of_the_owner_in_the_middle_of_a_pass_saves_the_only_copy_that_is_left()
    {
        PushgatewayProcess old = await TestPeers.PushgatewayAsync();
        string address = FreePort.NextAddress();
        using var cleaner = new CleanedGateways { BetweenReadings = TimeSpan.FromSeconds(15) };
        Task<CleanupReport> pass;
        await using (PushgatewayProcess owner = await PushgatewayProcess.StartAsync(address))
        {
            await PushAsync(old, "a");
            await Task.Delay(Older);
            await PushAsync(owner, "a");
            pass = cleaner.PassAsync(RingOf(address), [old.Address, address]);
            await Task.Delay(TimeSpan.FromSeconds(1));
            owner.Process.Kill();
        }

        await using PushgatewayProcess again = await PushgatewayProcess.StartAsync(address);
        CleanupReport report = await pass;
        Assert.Equal(["{job=\"a\"} OwnerMissing"], Left(report));
        Assert.Equal(["job=a"], await old.GroupsAsync());
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public async Task A_pass_that_must_end_deletes_nothing_more(int asks)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        for (int i = 0; i < 10; i++) await PushAsync(gateways[0], $"j{i}");
        await Task.Delay(Older);
        for (int i = 0; i < 10; i++) await PushAsync(gateways[1], $"j{i}");
        int asked = 0;
        using var cleaner = new CleanedGateways { WhyStop = () => ++asked > asks ? "the lease is lost" : null };

        CleanupReport report = await cleaner.PassAsync(RingOf(gateways[1].Address), gateways.Select(gateway => gateway.Address));

        // Asked once before the second reading and once for the gateway, then before each DELETE: before the last look, after it, and when nothing else is in the way.
        Assert.Equal((3, 7L), ((int)Deleted(report, DeleteReason.Stale), report.Left[(int)LeftReason.Stopped]));
        Assert.True(report.IsPartial);
        await Eventually.TrueAsync(async () => (await gateways[0].GroupsAsync()).Length == 7, TimeSpan.FromSeconds(10), () => "7 groups");
    }

    [Fact]
    public async Task What_a_client_deleted_goes_everywhere_and_what_it_pushed_since_stays()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        foreach (string job in new[] { "deleted", "again", "kept" }) await PushAsync(gateways[0], job);
        await PushAsync(gateways[1], "deleted");
        await Task.Delay(Older);
        using var cleaner = new CleanedGateways();
        foreach (string job in new[] { "deleted", "again" }) cleaner.Deletes.Add(Group(("job", job)).Key, DateTimeOffset.UtcNow);
        await Task.Delay(Older);
        await PushAsync(gateways[1], "again");

        // Without the lease, too, and without a word about anything else.
        CleanupReport report = await cleaner.PassAsync(RingOf(gateways[1].Address), gateways.Select(gateway => gateway.Address), holdsLease: false);

        Assert.Equal(3, Deleted(report, DeleteReason.Deleted));
        Assert.Empty(Left(report));
        await WaitForGroupsAsync(gateways[0], "job=kept");
        await WaitForGroupsAsync(gateways[1], "job=again");
    }

    [Fact]
    public async Task A_group_expires_by_the_push_time_of_its_newest_copy()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        foreach (string job in new[] { "nightly_1", "nightly_2", "other" }) await PushAsync(gateways[0], job);
        await PushAsync(gateways[1], "nightly_1");
        await Task.Delay(TimeSpan.FromSeconds(16));
        await PushAsync(gateways[1], "nightly_2");
        GroupMatch("job=~\"nightly_.*\"", out GroupMatcher nightly);
        using var cleaner = new CleanedGateways();
        cleaner.Options = cleaner.Options with { Expire = [new ExpireRule([nightly], TimeSpan.FromSeconds(15))], Margin = TimeSpan.FromHours(1) };

        CleanupReport report = await cleaner.PassAsync(RingOf(gateways[1].Address), gateways.Select(gateway => gateway.Address));

        Assert.Equal(2, Deleted(report, DeleteReason.Expired));
        await WaitForGroupsAsync(gateways[0], "job=nightly_2", "job=other");
        await WaitForGroupsAsync(gateways[1], "job=nightly_2");
    }

    /// <summary>Responds like a Pushgateway, and stops in the middle of its groups.</summary>
    private sealed class HangingGateway : IDisposable
    {
        private const string Groups = """{"status":"success","data":[{"labels":{"job":"j1"},"last_push_successful":true,"push_time_seconds":{"metr""";
        private const string Status = """{"status":"success","data":{"start_time":"2026-01-01T00:00:00Z","flags":{}}}""";

        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        public HangingGateway()
        {
            _listener.Start();
            _ = Task.Run(AcceptAsync);
        }

        public string Address => _listener.LocalEndpoint.ToString()!;

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    TcpClient client = await _listener.AcceptTcpClientAsync();
                    _ = Task.Run(() => RespondAsync(client));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
            }
        }

        private static async Task RespondAsync(TcpClient client)
        {
            using StreamReader reader = new(client.GetStream(), Encoding.ASCII);
            string request = await reader.ReadLineAsync() ?? "";
            while (await reader.ReadLineAsync() is { Length: > 0 })
            {
            }

            bool isStatus = request.Contains("/status", StringComparison.Ordinal);
            string head = $"HTTP/1.1 200 OK\r\nDate: {DateTimeOffset.UtcNow:R}\r\nContent-Length: {(isStatus ? Status.Length : 100_000)}\r\nConnection: close\r\n\r\n";
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head + (isStatus ? Status : Groups)));
            if (!isStatus) await Task.Delay(TimeSpan.FromSeconds(30));
            client.Dispose();
        }
    }
}
