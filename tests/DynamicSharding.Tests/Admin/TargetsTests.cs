using System.Net;
using System.Text.Json;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Admin;

/// <summary><c>/api/v1/sd</c>.</summary>
public sealed class TargetsTests
{
    [Fact]
    public async Task It_is_503_until_discovery_has_reported_and_then_lists_what_it_reported()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        using (HttpResponseMessage early = await admin.Client.GetAsync("/api/v1/sd"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, early.StatusCode);
            Assert.Equal("discovery has not reported yet\n", await early.Content.ReadAsStringAsync());
        }

        admin.View = admin.View with { HasReport = true };
        using HttpResponseMessage response = await admin.Client.GetAsync("/api/v1/sd");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["application/json"], response.Content.Headers.GetValues("Content-Type"));
        Assert.Equal(
            $$$"""
            [{"targets":["gw1:9091"],"labels":{"__meta_dynamic_sharding_fingerprint":"{{{admin.Ring.Current!.Fingerprint}}}","__meta_dynamic_sharding_in_ring":"true","__meta_dynamic_sharding_state":"member","__meta_dynamic_sharding_weight":"1"}}]
            """,
            await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task An_empty_report_is_an_empty_list()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        admin.View = admin.View with { HasReport = true };
        Assert.Equal("[]", await admin.Client.GetStringAsync("/api/v1/sd"));
    }

    [Fact]
    public async Task A_report_of_gateways_that_are_all_refused_is_an_empty_list()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        admin.View = admin.View with { HasReport = true, Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Refused)] };
        Assert.Equal("[]", await admin.Client.GetStringAsync("/api/v1/sd"));
    }

    [Fact]
    public async Task Every_state_but_refused_is_listed()
    {
        await using var admin = new AdminFixture();
        admin.Publish("member:1", "leaving:1", "held:1", "draining:1");
        admin.View = admin.View with
        {
            HasReport = true,
            Gateways = [.. GatewayStates.All.Select(state => AdminFixture.Status(GatewayStates.Label(state) + ":1", state)).OrderBy(g => g.Address, StringComparer.Ordinal)],
        };
        await admin.StartAsync();
        Assert.Equal(
            ["draining:1 draining true", "held:1 held true", "joining:1 joining false", "leaving:1 leaving true", "member:1 member true", "out:1 out false"],
            await TargetsAsync(admin));
    }

    [Fact]
    public async Task A_former_member_is_listed_for_seven_days_unless_it_is_refused()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        long left = admin.Time.GetTimestamp();
        admin.View = admin.View with
        {
            HasReport = true,
            Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Member), AdminFixture.Status("gw2:9091", GatewayState.Refused), AdminFixture.Status("gw3:9091", GatewayState.Out)],
            Former = new Dictionary<string, long> { ["gw0:9091"] = left, ["gw2:9091"] = left, ["gw3:9091"] = left },
        };
        await admin.StartAsync();
        string[] all = ["gw0:9091 former false", "gw1:9091 member true", "gw3:9091 out false"];
        Assert.Equal(all, await TargetsAsync(admin));
        admin.Time.Advance(TimeSpan.FromDays(7) - TimeSpan.FromSeconds(1));
        Assert.Equal(all, await TargetsAsync(admin));
        admin.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(all[1..], await TargetsAsync(admin));
    }

    [Fact]
    public async Task The_bytes_depend_on_gateways_and_states_and_on_nothing_else()
    {
        await using var one = new AdminFixture();
        await using var other = new AdminFixture();
        one.Publish("gw1:9091", "gw2:9091");
        await one.StartAsync();
        other.Time.Advance(TimeSpan.FromHours(3));
        other.Publish("gw2:9091", "gw1:9091");
        other.Gateway("gw1:9091").Redirects.Increment(0);
        await other.StartAsync();
        one.View = one.View with { HasReport = true, Former = new Dictionary<string, long> { ["gw8:1"] = one.Time.GetTimestamp(), ["gw7:1"] = one.Time.GetTimestamp() } };
        other.View = other.View with
        {
            HasReport = true,
            Changes = 7,
            Gateways = [.. other.View.Gateways.Reverse().Select(static g => g with { Since = AdminFixture.Start.AddDays(1), Reason = "of another kind", CheckOutput = "status 200: 1.23 ms" })],
            Former = new Dictionary<string, long> { ["gw7:1"] = other.Time.GetTimestamp() - 5, ["gw8:1"] = other.Time.GetTimestamp() },
        };
        Assert.Equal(await one.Client.GetByteArrayAsync("/api/v1/sd"), await other.Client.GetByteArrayAsync("/api/v1/sd"));
        other.View = other.View with { Gateways = [other.View.Gateways[0], other.View.Gateways[1] with { State = GatewayState.Held }] };
        Assert.NotEqual(await one.Client.GetByteArrayAsync("/api/v1/sd"), await other.Client.GetByteArrayAsync("/api/v1/sd"));
    }

    [Fact]
    public async Task Scheme_and_path_prefix_are_labels_that_Prometheus_follows()
    {
        await using var admin = new AdminFixture();
        admin.Options = admin.Options with { Pushgateway = admin.Options.Pushgateway with { Scheme = "https", PathPrefix = "/pgw" } };
        admin.Publish("[::1]:9091");
        admin.View = admin.View with { HasReport = true };
        await admin.StartAsync();
        using JsonDocument document = JsonDocument.Parse(await admin.Client.GetStringAsync("/api/v1/sd"));
        JsonElement group = document.RootElement[0];
        Assert.Equal("[::1]:9091", group.GetProperty("targets")[0].GetString());
        Assert.Equal("https", group.GetProperty("labels").GetProperty("__scheme__").GetString());
        Assert.Equal("/pgw/metrics", group.GetProperty("labels").GetProperty("__metrics_path__").GetString());
    }

    private static async Task<string[]> TargetsAsync(AdminFixture admin)
    {
        using JsonDocument document = JsonDocument.Parse(await admin.Client.GetStringAsync("/api/v1/sd"));
        return [.. document.RootElement.EnumerateArray().Select(group =>
            $"{group.GetProperty("targets")[0].GetString()} {group.GetProperty("labels").GetProperty("__meta_dynamic_sharding_state").GetString()} "
            + group.GetProperty("labels").GetProperty("__meta_dynamic_sharding_in_ring").GetString())];
    }
}
