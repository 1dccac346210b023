using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The metrics of a process after exactly known traffic.</summary>
public sealed class MetricFamiliesTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Pushes = 40;

    [Fact, Trait("Smoke", "true")]
    public async Task Every_family_has_its_value_after_real_traffic()
    {
        await using FakeConsul consul = new(["127.0.0.1:9091", "127.0.0.2:9091", "127.0.0.3:9091"]);
        string address = FreePort.NextAddress();
        string admin = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $$"""
            http_listen_addr: {{address}}
            admin_listen_addr: {{admin}}
            consul_server: { addr: "{{consul.Address}}" }
            pushgateway: { servers: [127.0.0.1, 127.0.0.2] }
            shutdown: { drain_delay: 0s }
            """,
            address,
            admin);
        await server.WaitForMembersAsync(["127.0.0.1:9091", "127.0.0.2:9091", "127.0.0.3:9091"], TimeSpan.FromSeconds(20));
        // The ring exists before the process is ready.
        await server.WaitUntilReadyAsync();
        for (int i = 0; i < Pushes; i++) await server.OwnerOfAsync(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{i}"));
        Assert.Equal(HttpStatusCode.NotFound, await server.StatusCodeOfAsync("nothing"));
        using (RawHttp broken = await RawHttp.ConnectAsync(server.Address))
        {
            await broken.SendAsync("PUT /metrics/job/a HTTP/1.1\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 400 ", await broken.ReadReplyAsync(), StringComparison.Ordinal);
        }

        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        using HttpClient client = LoopbackHttp.Client(admin);
        Dictionary<string, double> page = [];
        await Eventually.TrueAsync(
            async () =>
            {
                page = Read(await client.GetStringAsync("metrics"));
                return Sum("dynamic_sharding_connections_closed_total{reason=") >= 1;
            },
            TimeSpan.FromSeconds(20),
            () => "the broken connection's end");

        Assert.Equal(Pushes, page["dynamic_sharding_requests_total{method=\"put\",code=\"307\"}"]);
        Assert.Equal(1, page["dynamic_sharding_requests_total{method=\"get\",code=\"404\"}"]);
        Assert.Equal(Pushes, Sum("dynamic_sharding_redirects_total{gateway="));
        Assert.Equal(1, page["dynamic_sharding_rejected_requests_total{reason=\"not_found\"}"]);
        Assert.Equal(1, page["dynamic_sharding_rejected_requests_total{reason=\"missing_host\"}"]);
        Assert.True(page["dynamic_sharding_connections_open"] >= 1);
        Assert.True(page["dynamic_sharding_connections_accepted_total"] >= 2);
        Assert.True(page["dynamic_sharding_request_duration_seconds_count"] >= Pushes);
        Assert.True(page["dynamic_sharding_request_duration_seconds_sum"] > 0);
        Assert.Equal(page["dynamic_sharding_request_duration_seconds_count"], page["dynamic_sharding_request_duration_seconds_bucket{le=\"+Inf\"}"]);
        Assert.Equal(3, page["dynamic_sharding_ring_members"]);
        Assert.Equal(2, page["dynamic_sharding_gateways_configured"]);
        Assert.Equal(3, Count("dynamic_sharding_ring_ownership_ratio{gateway="));
        Assert.Equal(1, Sum("dynamic_sharding_ring_ownership_ratio{gateway="), 9);
        Assert.Equal(1, page[$"dynamic_sharding_ring_info{{fingerprint=\"{await server.FingerprintAsync()}\",key=\"group\",replicas=\"500\"}}"]);
        Assert.Equal(1, page["dynamic_sharding_ring_changes_total{reason=\"first_answer\"}"]);
        Assert.InRange(page["dynamic_sharding_ring_moved_ratio"], 0.2, 0.5);
        Assert.True(page["dynamic_sharding_ring_build_seconds"] > 0);
        Assert.Equal(0, page["dynamic_sharding_ring_build_failures_total"]);
        Assert.Equal(1, page["dynamic_sharding_gateway_state{gateway=\"127.0.0.3:9091\",state=\"member\"}"]);
        Assert.Equal(0, page["dynamic_sharding_gateway_overloaded{gateway=\"127.0.0.3:9091\"}"]);
        Assert.Contains("dynamic_sharding_discovery_failures_total", page.Keys);
        Assert.InRange(page["dynamic_sharding_discovery_seconds_since_last_success"], 0, 60);
        Assert.InRange(Age("dynamic_sharding_discovery_last_success_timestamp_seconds"), -5, 60);
        Assert.True(page["dynamic_sharding_consul_index"] >= 10);
        Assert.Contains("dynamic_sharding_consul_last_contact_seconds", page.Keys);
        Assert.Equal(1, page["dynamic_sharding_config_last_reload_successful"]);
        Assert.InRange(Age("dynamic_sharding_config_last_reload_success_timestamp_seconds"), -5, 60);
        Assert.Equal(0, page["dynamic_sharding_admin_rejected_requests_total{reason=\"unauthorized\"}"]);
        Assert.Equal(1, page["dynamic_sharding_ready"]);
        Assert.Equal(1, Sum("dynamic_sharding_build_info{version="));
        foreach (string name in (string[])["cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds", "threads"])
            Assert.True(page["process_" + name] > 0, name);
        Assert.InRange(Age("process_start_time_seconds"), 0, 120);
        Assert.Contains("dotnet_gc_collections_total{generation=\"0\"}", page.Keys);
        foreach (string name in (string[])["gc_allocated_bytes_total", "gc_heap_size_bytes", "threadpool_threads", "threadpool_completed_items_total"])
            Assert.True(page["dotnet_" + name] > 0, name);
        foreach (string name in (string[])["gc_committed_bytes", "gc_pause_seconds_total", "threadpool_queue_length", "lock_contentions_total"])
            Assert.Contains("dotnet_" + name, page.Keys);

        double Sum(string start) => page.Where(s => s.Key.StartsWith(start, StringComparison.Ordinal)).Sum(s => s.Value);
        int Count(string start) => page.Count(s => s.Key.StartsWith(start, StringComparison.Ordinal));
        double Age(string name) => (DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0) - page[name];
    }

    private static Dictionary<string, double> Read(string page) => page.Split('\n')
        .Where(line => line.Length > 0 && line[0] != '#')
        .ToDictionary(
            line => line[..line.LastIndexOf(' ')],
            line => line.EndsWith("+Inf", StringComparison.Ordinal)
                ? double.PositiveInfinity
                : double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
}
