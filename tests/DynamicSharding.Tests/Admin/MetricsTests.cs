using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Membership;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Admin;

public sealed class MetricsTests
{
    [Fact]
    public async Task Traffic_is_the_sum_of_the_loops()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        Dictionary<string, double> fresh = await admin.ScrapeAsync();
        Assert.Equal(0, fresh["dynamic_sharding_requests_total{method=\"put\",code=\"307\"}"]);
        Assert.Equal(0, fresh["dynamic_sharding_rejected_requests_total{reason=\"bad_host\"}"]);
        Assert.DoesNotContain("dynamic_sharding_requests_total{method=\"get\",code=\"404\"}", fresh.Keys);

        foreach (LoopCounters loop in admin.Counters.Loops)
        {
            loop.CountAccept();
            loop.CountAccept();
            loop.CountClose(CloseReason.Idle);
            loop.CountReject(RejectReason.NotFound);
            loop.CountRequest(RequestMethod.Get, StatusIndex.NotFound);
            loop.CountRequest(RequestMethod.Put, StatusIndex.TemporaryRedirect);
        }

        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.Equal(2, page["dynamic_sharding_requests_total{method=\"put\",code=\"307\"}"]);
        Assert.Equal(2, page["dynamic_sharding_requests_total{method=\"get\",code=\"404\"}"]);
        Assert.Equal(2, page["dynamic_sharding_rejected_requests_total{reason=\"not_found\"}"]);
        Assert.Equal(4, page["dynamic_sharding_connections_accepted_total"]);
        Assert.Equal(2, page["dynamic_sharding_connections_closed_total{reason=\"idle\"}"]);
        Assert.Equal(2, page["dynamic_sharding_connections_open"]);
    }

    [Fact]
    public async Task The_histogram_counts_every_request_and_its_sum_is_exact_over_many_scrapes()
    {
        const string Name = "dynamic_sharding_request_duration_seconds";
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        long tick = Stopwatch.Frequency / 1_000_000;
        double sum = 0;
        long count = 0;
        var random = new Random(1);
        for (int scrape = 0; scrape < 5; scrape++)
        {
            for (int i = 0; i < 100; i++)
            {
                long ticks = tick * random.NextInt64(0, 1 << random.Next(1, 22));
                int requests = random.Next(1, 17);
                admin.Counters.Loops[i % 2].ObserveBatch(ticks, requests);
                sum += (double)ticks * requests / Stopwatch.Frequency;
                count += requests;
            }

            Dictionary<string, double> page = await admin.ScrapeAsync();
            Assert.Equal(count, page[Name + "_count"]);
            Assert.Equal(sum, page[Name + "_sum"], 9);
            Assert.Equal(count, page[Name + "_bucket{le=\"+Inf\"}"]);
            long cumulative = 0;
            for (int bucket = 0; bucket < DurationBuckets.BoundCount; bucket++)
            {
                cumulative += admin.Counters.Duration(bucket).Count;
                Assert.Equal(cumulative, Bucket(page, Name, DurationBuckets.Bound(bucket)));
            }
        }
    }

    [Fact]
    public async Task A_page_that_is_made_while_requests_are_counted_loses_none()
    {
        const string Name = "dynamic_sharding_request_duration_seconds";
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        long tick = Stopwatch.Frequency / 1_000_000;
        long batches = 0;
        using var done = new CancellationTokenSource();
        Task loop = Task.Factory.StartNew(
            () =>
            {
                // Both ends of the second bucket, so that a torn read moves the mean as far as possible.
                for (; !done.IsCancellationRequested; batches++)
                    admin.Counters.Loops[0].ObserveBatch(batches % 2 == 0 ? 6 * tick : 10 * tick, 2);
            },
            TaskCreationOptions.LongRunning);
        for (int i = 0; i < 20; i++)
        {
            Dictionary<string, double> during = await admin.ScrapeAsync();
            Assert.Equal(0, Bucket(during, Name, 5e-6));
            Assert.Equal(during[Name + "_count"], Bucket(during, Name, 10e-6));
        }

        await done.CancelAsync();
        await loop;
        await admin.ScrapeAsync();
        admin.Counters.Loops[0].ObserveBatch(8 * tick, 1_000_000);
        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.Equal(batches * 2 + 1_000_000, page[Name + "_count"]);
        double expected = (batches / 2 * 32 + batches % 2 * 12 + 8_000_000) / 1e6;
        Assert.Equal(1, page[Name + "_sum"] / expected, 9);
    }

    [Fact]
    public async Task Durations_on_a_bound_stay_in_their_bucket()
    {
        const string Name = "dynamic_sharding_request_duration_seconds";
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        for (int bucket = 0; bucket < DurationBuckets.BoundCount; bucket++)
            admin.Counters.Loops[0].ObserveBatch((long)Math.Round(DurationBuckets.Bound(bucket) * Stopwatch.Frequency), 3);
        Dictionary<string, double> page = await admin.ScrapeAsync();
        for (int bucket = 0; bucket < DurationBuckets.BoundCount; bucket++)
            Assert.Equal(3 * (bucket + 1), Bucket(page, Name, DurationBuckets.Bound(bucket)));
    }

    [Fact]
    public async Task Ring_and_gateways_are_shown_and_what_vanished_is_not()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        admin.Gateway("gw2:9091").Redirects.Increment(1);
        await admin.StartAsync();
        string first = admin.Ring.Current!.Fingerprint;
        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.Equal(2, page["dynamic_sharding_ring_members"]);
        Assert.Equal(1, page[$"dynamic_sharding_ring_info{{fingerprint=\"{first}\",key=\"group\",replicas=\"500\"}}"]);
        Assert.Equal(1, page["dynamic_sharding_redirects_total{gateway=\"gw2:9091\"}"]);
        Assert.Equal(0, page["dynamic_sharding_redirects_total{gateway=\"gw1:9091\"}"]);
        Assert.Equal(1, page["dynamic_sharding_gateway_state{gateway=\"gw1:9091\",state=\"member\"}"]);
        Assert.Equal(0, page["dynamic_sharding_gateway_state{gateway=\"gw1:9091\",state=\"out\"}"]);
        IEnumerable<KeyValuePair<string, double>> shares =
            page.Where(s => s.Key.StartsWith("dynamic_sharding_ring_ownership_ratio{", StringComparison.Ordinal));
        Assert.Equal(1, shares.Sum(share => share.Value), 9);

        // Out of the ring but still known: its share goes, its redirects stay.
        admin.Publish("gw1:9091");
        GatewayStatus gone = AdminFixture.Status("gw2:9091", GatewayState.Out) with { Overloaded = true };
        admin.View = admin.View with { Gateways = [.. admin.View.Gateways, gone] };
        page = await admin.ScrapeAsync();
        Assert.Equal(1, page["dynamic_sharding_redirects_total{gateway=\"gw2:9091\"}"]);
        Assert.Equal(1, page["dynamic_sharding_gateway_state{gateway=\"gw2:9091\",state=\"out\"}"]);
        Assert.Equal(1, page["dynamic_sharding_gateway_overloaded{gateway=\"gw2:9091\"}"]);
        Assert.DoesNotContain("dynamic_sharding_ring_ownership_ratio{gateway=\"gw2:9091\"}", page.Keys);
        Assert.DoesNotContain(page.Keys, series => series.Contains(first, StringComparison.Ordinal));
        Assert.Single(page.Keys, series => series.StartsWith("dynamic_sharding_ring_info{", StringComparison.Ordinal));

        // No longer known: nothing of it is left.
        admin.Publish("gw1:9091");
        page = await admin.ScrapeAsync();
        Assert.DoesNotContain(page.Keys, series => series.Contains("gw2", StringComparison.Ordinal));

        // Back in the file: its counter continues where it was, in every state, and no rate appears.
        admin.View = admin.View with { Gateways = [.. admin.View.Gateways, AdminFixture.Status("gw2:9091", GatewayState.Joining)] };
        admin.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, (await admin.ScrapeAsync())["dynamic_sharding_redirects_total{gateway=\"gw2:9091\"}"]);
        admin.Publish("gw1:9091", "gw2:9091");
        Assert.Equal(1, (await admin.ScrapeAsync())["dynamic_sharding_redirects_total{gateway=\"gw2:9091\"}"]);
        Assert.All(await RedirectRatesAsync(admin), rate => Assert.Equal(0, rate));
        admin.Time.Advance(TimeSpan.FromSeconds(4));
        Assert.All(await RedirectRatesAsync(admin), rate => Assert.Equal(0, rate));
    }

    private static async Task<double[]> RedirectRatesAsync(AdminFixture admin) =>
    [
        .. (await admin.JsonAsync("/api/v1/status")).GetProperty("members").EnumerateArray()
            .Select(member => member.GetProperty("redirects_per_second").GetDouble()),
    ];

    [Fact]
    public async Task Without_a_last_good_answer_or_a_contact_in_it_the_old_ones_are_not_shown_for_new()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        admin.View = admin.View with { Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 0, null, 12, TimeSpan.FromMilliseconds(20)) };
        Assert.Equal(0.02, (await admin.ScrapeAsync())["dynamic_sharding_consul_last_contact_seconds"]);
        admin.View = admin.View with { Discovery = admin.View.Discovery with { ConsulLastContact = null } };
        Assert.DoesNotContain("dynamic_sharding_consul_last_contact_seconds", (await admin.ScrapeAsync()).Keys);
        admin.View = admin.View with { Discovery = admin.View.Discovery with { ConsulLastContact = TimeSpan.FromSeconds(2) } };
        Assert.Equal(2, (await admin.ScrapeAsync())["dynamic_sharding_consul_last_contact_seconds"]);

        // A list whose checks a reload switched off.
        admin.View = admin.View with { Discovery = new DiscoveryStatus(DiscoveryKind.Static, null, 0, null, 0, null) };
        Assert.DoesNotContain("dynamic_sharding_discovery_seconds_since_last_success", (await admin.ScrapeAsync()).Keys);
        Assert.DoesNotContain("dynamic_sharding_discovery_last_success_timestamp_seconds", (await admin.ScrapeAsync()).Keys);
    }

    [Fact]
    public async Task Ring_changes_are_counted_once_each_by_reason()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.DoesNotContain("dynamic_sharding_ring_moved_ratio", page.Keys);

        Assert.Equal(0, page["dynamic_sharding_ring_changes_total{reason=\"mass_loss\"}"]);

        admin.View = admin.View with
        {
            History = [AdminFixture.Change("gw2:9091 joined", 0.5), AdminFixture.Change("configured")],
            ChangesByCause = Causes((RingChangeCause.Start, 1), (RingChangeCause.Join, 1)),
        };
        await admin.ScrapeAsync();
        page = await admin.ScrapeAsync();
        Assert.Equal(1, page["dynamic_sharding_ring_changes_total{reason=\"join\"}"]);
        Assert.DoesNotContain("dynamic_sharding_ring_changes_total{reason=\"start\"}", page.Keys);
        Assert.Equal(0.5, page["dynamic_sharding_ring_moved_ratio"]);
        Assert.Equal(0.003, page["dynamic_sharding_ring_build_seconds"]);
    }

    [Fact]
    public async Task Discovery_config_and_build()
    {
        await using var admin = new AdminFixture { ReloadStatus = new ReloadStatus(false, AdminFixture.Start) };
        await admin.StartAsync();
        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.Equal(0, page["dynamic_sharding_config_last_reload_successful"]);
        Assert.Equal(AdminFixture.Start.ToUnixTimeSeconds(), page["dynamic_sharding_config_last_reload_success_timestamp_seconds"]);
        Assert.Equal(1, page["dynamic_sharding_ready"]);
        const string Build = "dynamic_sharding_build_info{version=\"1.2.3\",revision=\"abcdef\",";
        Assert.Single(page.Keys, series => series.StartsWith(Build, StringComparison.Ordinal));
        Assert.DoesNotContain("dynamic_sharding_discovery_seconds_since_last_success", page.Keys);
        Assert.DoesNotContain("dynamic_sharding_consul_index", page.Keys);

        var discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 4, "no", 12, TimeSpan.FromMilliseconds(20));
        admin.View = admin.View with { Discovery = discovery };
        admin.Time.Advance(TimeSpan.FromSeconds(7));
        page = await admin.ScrapeAsync();
        Assert.Equal(4, page["dynamic_sharding_discovery_failures_total"]);
        Assert.Equal(AdminFixture.Start.ToUnixTimeSeconds(), page["dynamic_sharding_discovery_last_success_timestamp_seconds"]);
        Assert.Equal(7, page["dynamic_sharding_discovery_seconds_since_last_success"]);
        Assert.Equal(12, page["dynamic_sharding_consul_index"]);
        Assert.Equal(0.02, page["dynamic_sharding_consul_last_contact_seconds"]);
    }

    [Fact]
    public async Task Process_and_runtime()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        Dictionary<string, double> page = await admin.ScrapeAsync();
        foreach (string name in (string[])
        [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds",
            "process_max_fds", "process_threads", "process_start_time_seconds", "dotnet_gc_allocated_bytes_total",
            "dotnet_gc_heap_size_bytes", "dotnet_threadpool_threads",
        ])
            Assert.True(page[name] > 0, name);
        Assert.Contains("dotnet_gc_collections_total{generation=\"2\"}", page.Keys);
        Assert.InRange(page["process_start_time_seconds"], 1.6e9, (double)DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
    }

    [Fact]
    public async Task Scrapes_at_once_count_nothing_twice()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        admin.Counters.Loops[0].ObserveBatch(1000, 100);
        admin.View = admin.View with { ChangesByCause = Causes((RingChangeCause.Join, 1)) };
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => admin.ScrapeAsync()));
        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.Equal(100, page["dynamic_sharding_request_duration_seconds_count"]);
        Assert.Equal(1, page["dynamic_sharding_ring_changes_total{reason=\"join\"}"]);
    }

    [Fact]
    public async Task A_hostile_gateway_name_is_one_escaped_label()
    {
        const string Hostile = "x\"} 1\nfake_metric{a=\"\\";
        await using var admin = new AdminFixture();
        admin.Publish(Hostile);
        await admin.StartAsync();
        string page = await admin.Client.GetStringAsync("/metrics");
        Assert.DoesNotContain(page.Split('\n'), line => line.StartsWith("fake_metric", StringComparison.Ordinal));
        Assert.Contains(
            "\ndynamic_sharding_gateway_overloaded{gateway=\"x\\\"} 1\\nfake_metric{a=\\\"\\\\\"} 0\n", page, StringComparison.Ordinal);
    }

    /// <summary>
    /// Operators can see every property of the discovery and membership status. A new property that is on neither page fails here.
    /// </summary>
    [Fact]
    public async Task Every_property_of_the_status_of_discovery_and_membership_is_shown()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        var discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 0, null, 0, null);
        MembershipView view = admin.View with { Discovery = discovery, HasReport = true };
        foreach (PropertyInfo property in Shown(typeof(DiscoveryStatus)))
            await ShowsAsync(property, view, view with { Discovery = Changed(discovery, property) });
        foreach (PropertyInfo property in Shown(typeof(MembershipView)).Where(p => p.PropertyType != typeof(DiscoveryStatus)))
            await ShowsAsync(property, view, Changed(view, property));

        static IEnumerable<PropertyInfo> Shown(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.CanWrite);

        T Changed<T>(T record, PropertyInfo property)
        {
            var copy = (T)typeof(T).GetMethod("<Clone>$")!.Invoke(record, null)!;
            property.SetValue(copy, Another(property));
            return copy;
        }

        object? Another(PropertyInfo property) => property.PropertyType switch
        {
            Type t when t == typeof(long) => 77L,
            Type t when t == typeof(ulong) => 77UL,
            Type t when t == typeof(bool?) => true,
            Type t when t == typeof(bool) => false,
            Type t when t == typeof(string) => "something else",
            Type t when t == typeof(TimeSpan?) => TimeSpan.FromSeconds(77),
            Type t when t == typeof(DateTimeOffset?) => AdminFixture.Start.AddSeconds(-77),
            Type t when t == typeof(DiscoveryKind) => DiscoveryKind.Static,
            Type t when t == typeof(ImmutableArray<GatewayStatus>) => ImmutableArray.Create(AdminFixture.Status("gw9:9091", GatewayState.Out)),
            Type t when t == typeof(ImmutableArray<RingChange>) => ImmutableArray.Create(AdminFixture.Change("something else")),
            Type t when t == typeof(ImmutableDictionary<RingChangeCause, long>) => Causes((RingChangeCause.Join, 77)),
            Type t when t == typeof(IReadOnlyDictionary<string, long>) => new Dictionary<string, long> { ["gw9:9091"] = admin.Time.GetTimestamp() },
            Type t when t == typeof(ImmutableArray<string>) => ImmutableArray.Create("gw9:9091"),
            _ => throw new NotSupportedException($"{property.Name}: give this test another value of {property.PropertyType}"),
        };

        async Task ShowsAsync(PropertyInfo property, MembershipView before, MembershipView after)
        {
            // Only an input of readiness, which has a metric and an endpoint of its own.
            if (property.Name == nameof(MembershipView.HasVerdict)) return;
            string old = await PagesAsync(before);
            string text = await PagesAsync(after);
            Assert.True(old != text, $"{property.DeclaringType!.Name}.{property.Name} is neither a metric nor in the status API");
        }

        async Task<string> PagesAsync(MembershipView shown)
        {
            admin.View = shown;
            string metrics = await admin.Client.GetStringAsync("/metrics");
            string changing = string.Join('\n', metrics.Split('\n').Where(line => line.StartsWith("dynamic_sharding_", StringComparison.Ordinal)));
            using HttpResponseMessage targets = await admin.Client.GetAsync("/api/v1/sd");
            return changing + await admin.Client.GetStringAsync("/api/v1/status") + targets.StatusCode + await targets.Content.ReadAsStringAsync();
        }
    }

    /// <summary>The same for counters: a forgotten one changes no series.</summary>
    [Fact]
    public async Task Every_counter_of_both_listeners_is_shown()
    {
        await using var admin = new AdminFixture { Forward = new ForwardCounters(loops: 2) };
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        object[] counters = [admin.Counters.Loops[0], admin.Forward.Loops[0], admin.Forward.For("gw1:9091"), admin.Gateway("gw1:9091").Redirects];
        int counted = 0;
        foreach (object counter in counters)
        {
            foreach (MethodInfo method in counter.GetType().GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
                .Where(m => m.ReturnType == typeof(void) && !m.IsSpecialName && m.Name != nameof(ForwardGatewayCounters.Leave)))
            {
                string before = await PageAsync();
                method.Invoke(counter, [.. method.GetParameters().Select(Argument)]);
                Assert.True(before != await PageAsync(), $"{counter.GetType().Name}.{method.Name} changes no metric");
                counted++;
            }
        }

        Assert.InRange(counted, 10, 100);

        async Task<string> PageAsync() => string.Join(
            '\n', (await admin.Client.GetStringAsync("/metrics")).Split('\n').Where(line => line.StartsWith("dynamic_sharding_", StringComparison.Ordinal)));

        static object? Argument(ParameterInfo parameter) => parameter.ParameterType switch
        {
            Type t when t == typeof(int) => parameter.Name == "loop" ? 0 : 1,
            Type t when t == typeof(long) => 1L,
            Type t when t == typeof(TimeSpan) => TimeSpan.FromSeconds(1),
            Type t when t.IsEnum => Enum.GetValues(t).GetValue(1),
            _ => throw new NotSupportedException($"{parameter.Member.Name}: give this test a value of {parameter.ParameterType}"),
        };
    }

    private static double Bucket(Dictionary<string, double> page, string name, double bound) =>
        page.Single(s => s.Key.StartsWith(name + "_bucket{le=\"", StringComparison.Ordinal)
            && !s.Key.Contains("+Inf", StringComparison.Ordinal)
            && double.Parse(s.Key.Split('"')[1], CultureInfo.InvariantCulture) == bound).Value;

    private static ImmutableDictionary<RingChangeCause, long> Causes(params (RingChangeCause Cause, long Count)[] causes) =>
        causes.ToImmutableDictionary(cause => cause.Cause, cause => cause.Count);
}
