using System.Net;
using System.Text.Json;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Docs;

namespace DynamicSharding.Tests.Admin;

public sealed class ApiTests
{
    [Fact]
    public async Task The_time_since_the_start_does_not_follow_a_clock_that_is_set_back()
    {
        await using var admin = new AdminFixture();
        await using var listener = new AdminListener(admin.Context() with { Time = new ClockSetBack(), StartedTimestamp = 0 });
        await listener.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{listener.Port}") };

        using JsonDocument status = JsonDocument.Parse(await client.GetStringAsync("/api/v1/status"));
        Assert.Equal(5, status.RootElement.GetProperty("uptime_seconds").GetDouble());
        Assert.Contains("5 s", await client.GetStringAsync("/"), StringComparison.Ordinal);
    }

    /// <summary>Five seconds after the start, and an hour before it by the wall clock.</summary>
    private sealed class ClockSetBack : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => AdminFixture.Start - TimeSpan.FromHours(1);

        public override long GetTimestamp() => 5 * TimestampFrequency;
    }

    [Fact]
    public async Task Status_has_the_documented_shape()
    {
        await using var admin = new AdminFixture
        {
            Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 2, "timed out", 77, TimeSpan.FromSeconds(1.5)),
        };
        admin.Publish("gw1:9091", "gw2:9091");
        admin.View = admin.View with
        {
            Gateways =
            [
                AdminFixture.Status("gw1:9091", GatewayState.Member),
                AdminFixture.Status("gw2:9091", GatewayState.Leaving) with { CheckOutput = "connection refused", Overloaded = true },
                AdminFixture.Status("gw3:9091", GatewayState.Out),
            ],
            Changes = 3,
            History = [AdminFixture.Change("joined"), AdminFixture.Change("left")],
        };
        await admin.StartAsync();
        admin.Gateway("gw1:9091").Redirects.Increment(0);
        admin.Gateway("gw1:9091").Redirects.Increment(1);
        admin.Time.Advance(TimeSpan.FromSeconds(90));

        JsonElement status = await admin.JsonAsync("/api/v1/status");
        Assert.Equal(
            [
                "version", "revision", "started", "uptime_seconds", "ready", "ready_reason", "fingerprint", "replicas", "key", "http_path_prefix", "gateway_scheme", "gateway_path_prefix", "discovery",
                "members", "configured", "config_file", "changes", "last_change", "requests_per_second", "warnings",
            ],
            Names(status));
        Assert.Equal("1.2.3", status.GetProperty("version").GetString());
        Assert.Equal("abcdef", status.GetProperty("revision").GetString());
        Assert.Equal(AdminFixture.Start, status.GetProperty("started").GetDateTimeOffset());
        Assert.Equal(90, status.GetProperty("uptime_seconds").GetDouble());
        Assert.True(status.GetProperty("ready").GetBoolean());
        Assert.Equal("ready", status.GetProperty("ready_reason").GetString());
        Assert.Equal(admin.Ring.Current!.Fingerprint, status.GetProperty("fingerprint").GetString());
        Assert.Equal(500, status.GetProperty("replicas").GetInt32());
        Assert.Equal("group", status.GetProperty("key").GetString());
        Assert.Equal(["gw1:9091", "gw2:9091"], Strings(status.GetProperty("configured")));
        Assert.Equal(3, status.GetProperty("changes").GetInt64());

        JsonElement discovery = status.GetProperty("discovery");
        Assert.Equal(
            [
                "source", "last_good_answer", "seconds_since_good_answer", "failures", "last_error", "consul_index", "consul_last_contact_seconds",
            ],
            Names(discovery));
        Assert.Equal("consul", discovery.GetProperty("source").GetString());
        Assert.Equal(77, discovery.GetProperty("consul_index").GetInt64());
        Assert.Equal(1.5, discovery.GetProperty("consul_last_contact_seconds").GetDouble());
        AssertChange(status.GetProperty("last_change"), "joined");

        JsonElement[] members = [.. status.GetProperty("members").EnumerateArray()];
        string[] fields = ["address", "state", "in_ring", "weight", "since", "reason", "check_output", "overloaded", "ownership", "redirects", "redirects_per_second"];
        Assert.All(members, member => Assert.Equal(fields, Names(member)));
        Assert.Equal(["gw1:9091", "gw2:9091", "gw3:9091"], members.Select(m => m.GetProperty("address").GetString()));
        Assert.Equal(["member", "leaving", "out"], members.Select(m => m.GetProperty("state").GetString()));
        Assert.Equal([true, true, false], members.Select(m => m.GetProperty("in_ring").GetBoolean()));
        Assert.Equal([2, 0, 0], members.Select(m => m.GetProperty("redirects").GetInt64()));
        Assert.Equal([null, "connection refused", null], members.Select(m => m.GetProperty("check_output").GetString()));
        Assert.Equal([false, true, false], members.Select(m => m.GetProperty("overloaded").GetBoolean()));
        JsonElement[] warnings = [.. status.GetProperty("warnings").EnumerateArray()];
        Assert.All(warnings, warning => Assert.Equal(["severity", "what", "remedy"], Names(warning)));
        Assert.Contains(warnings, w => w.GetProperty("what").GetString() == "Not in the ring: gw3:9091.");
        Assert.InRange(status.GetProperty("members")[0].GetProperty("redirects_per_second").GetDouble(), 0, 2);
        Assert.Equal(0, status.GetProperty("requests_per_second").GetDouble());
        Assert.Equal(1, members.Sum(m => m.GetProperty("ownership").GetDouble()), 9);
    }

    [Fact]
    public async Task Before_the_first_ring_the_answers_are_whole_and_empty()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        admin.Readiness.SetObstacle("no ring yet");
        JsonElement status = await admin.JsonAsync("/api/v1/status");
        Assert.False(status.GetProperty("ready").GetBoolean());
        Assert.Equal(JsonValueKind.Null, status.GetProperty("fingerprint").ValueKind);
        Assert.Equal(JsonValueKind.Null, status.GetProperty("last_change").ValueKind);
        Assert.Equal(JsonValueKind.Null, status.GetProperty("discovery").GetProperty("consul_index").ValueKind);
        Assert.Empty(status.GetProperty("members").EnumerateArray());

        JsonElement ring = await admin.JsonAsync("/api/v1/ring");
        Assert.Equal(JsonValueKind.Null, ring.GetProperty("fingerprint").ValueKind);
        Assert.Empty(ring.GetProperty("members").EnumerateArray());
        Assert.Empty((await admin.JsonAsync("/api/v1/history")).GetProperty("history").EnumerateArray());
        JsonElement lookup = await admin.JsonAsync("/api/v1/lookup?path=/metrics/job/a", HttpStatusCode.ServiceUnavailable);
        Assert.Equal(["error"], Names(lookup));
    }

    [Fact]
    public async Task Ring_lists_the_members_and_their_shares()
    {
        await using var admin = new AdminFixture();
        admin.Options = admin.Options with { Sharding = new ShardingOptions { Key = ShardingKey.Path, Replicas = 50 } };
        admin.Publish("gw2:9091", "gw1:9091");
        admin.View = admin.View with { Gateways = [.. admin.View.Gateways, AdminFixture.Status("gw3:9091", GatewayState.Out)] };
        await admin.StartAsync();
        JsonElement ring = await admin.JsonAsync("/api/v1/ring");
        Assert.Equal(["fingerprint", "replicas", "key", "members"], Names(ring));
        Assert.Equal(50, ring.GetProperty("replicas").GetInt32());
        Assert.Equal("path", ring.GetProperty("key").GetString());
        JsonElement[] members = [.. ring.GetProperty("members").EnumerateArray()];
        Assert.All(members, member => Assert.Equal(["address", "weight", "ownership"], Names(member)));
        Assert.Equal(["gw1:9091", "gw2:9091"], members.Select(m => m.GetProperty("address").GetString()));
        Assert.Equal(admin.Ring.Current!.OwnershipRatios(), members.Select(m => m.GetProperty("ownership").GetDouble()));
    }

    [Fact]
    public async Task History_is_newest_first()
    {
        await using var admin = new AdminFixture();
        admin.View = admin.View with { Changes = 9, History = [AdminFixture.Change("newest"), AdminFixture.Change("older")] };
        await admin.StartAsync();
        JsonElement history = await admin.JsonAsync("/api/v1/history");
        Assert.Equal(["changes", "history"], Names(history));
        Assert.Equal(9, history.GetProperty("changes").GetInt64());
        JsonElement[] changes = [.. history.GetProperty("history").EnumerateArray()];
        AssertChange(changes[0], "newest");
        AssertChange(changes[1], "older");
    }

    [Fact]
    public void The_documented_history_has_the_shape_and_counts_as_the_program_does()
    {
        string document = Repository.Read("docs/listeners.md");
        string example = document[document.IndexOf("`/api/v1/history`:\n", StringComparison.Ordinal)..].Split("```")[1];
        using JsonDocument json = JsonDocument.Parse(example, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip });
        Assert.Equal(["changes", "history"], Names(json.RootElement));
        JsonElement[] history = [.. json.RootElement.GetProperty("history").EnumerateArray()];
        Assert.All(history, change => Assert.Equal(["at", "reason", "before", "after", "moved_ratio", "build_seconds", "fingerprint"], Names(change)));

        // The start replaces nothing and does not count.
        Assert.Equal(history.Count(change => change.GetProperty("before").GetArrayLength() > 0), json.RootElement.GetProperty("changes").GetInt64());
    }

    [Fact]
    public async Task A_gateway_that_membership_has_not_told_of_yet_is_a_member_since_it_was_seen()
    {
        await using var admin = new AdminFixture();
        await admin.StartAsync();
        admin.Time.Advance(TimeSpan.FromMinutes(5));
        admin.Ring.Publish(HashRing<Gateway>.Build([admin.Gateway("gw1:9091")], 500, "group"));
        JsonElement member = (await admin.JsonAsync("/api/v1/status")).GetProperty("members")[0];
        Assert.Equal("just joined", member.GetProperty("reason").GetString());
        Assert.Equal(AdminFixture.Start + TimeSpan.FromMinutes(5), member.GetProperty("since").GetDateTimeOffset());
        Assert.DoesNotContain("0001", await admin.Client.GetStringAsync("/api/v1/status"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hostile_names_and_outputs_stay_data()
    {
        const string Hostile = "</script><img src=x onerror=alert(1)>\"\\\n\u2028:9091";
        await using var admin = new AdminFixture();
        admin.View = admin.View with { Gateways = [AdminFixture.Status(Hostile, GatewayState.Out) with { CheckOutput = Hostile }] };
        await admin.StartAsync();
        string text = await admin.Client.GetStringAsync("/api/v1/status");
        Assert.DoesNotContain('<', text);
        JsonElement member = (await admin.JsonAsync("/api/v1/status")).GetProperty("members")[0];
        Assert.Equal(Hostile, member.GetProperty("address").GetString());
        Assert.Equal(Hostile, member.GetProperty("check_output").GetString());
    }

    private static void AssertChange(JsonElement change, string reason)
    {
        Assert.Equal(["at", "reason", "before", "after", "moved_ratio", "build_seconds", "fingerprint"], Names(change));
        Assert.Equal(AdminFixture.Start, change.GetProperty("at").GetDateTimeOffset());
        Assert.Equal(reason, change.GetProperty("reason").GetString());
        Assert.Equal(["a:1"], Strings(change.GetProperty("before")));
        Assert.Equal(["a:1", "b:1"], Strings(change.GetProperty("after")));
        Assert.Equal(0.25, change.GetProperty("moved_ratio").GetDouble());
        Assert.Equal(0.003, change.GetProperty("build_seconds").GetDouble());
        Assert.Equal("0123456789abcdef", change.GetProperty("fingerprint").GetString());
    }

    private static string[] Names(JsonElement element) => [.. element.EnumerateObject().Select(p => p.Name)];

    private static string[] Strings(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetString()!)];
}
