using System.Net;
using System.Text.Json;
using DynamicSharding.Admin;
using DynamicSharding.Admin.Page;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Tests.Admin;

public sealed class SimulateTests
{
    [Fact]
    public async Task The_response_is_the_ring_that_the_change_would_make()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091");
        await admin.StartAsync();
        JsonElement answer = await admin.JsonAsync("/api/v1/simulate?add=gw4&remove=gw1:9091,gw2");
        Assert.Equal(["fingerprint", "moved_ratio", "keys", "moved", "gateways", "moves"], Names(answer));
        JsonElement[] gateways = [.. answer.GetProperty("gateways").EnumerateArray()];
        Assert.All(gateways, gateway => Assert.Equal(["address", "ownership_before", "ownership_after", "weight_before", "weight_after", "keys_before", "keys_after"], Names(gateway)));
        Assert.Equal(["gw1:9091", "gw2:9091", "gw3:9091", "gw4:9091"], gateways.Select(g => g.GetProperty("address").GetString()));
        Assert.Equal(JsonValueKind.Null, gateways[3].GetProperty("ownership_before").ValueKind);
        Assert.Equal(JsonValueKind.Null, gateways[0].GetProperty("ownership_after").ValueKind);
        string now = admin.Ring.Current!.Fingerprint;

        // After making the change: the ring is the predicted one.
        admin.Publish("gw3:9091", "gw4:9091");
        Assert.NotEqual(now, admin.Ring.Current.Fingerprint);
        Assert.Equal(admin.Ring.Current.Fingerprint, answer.GetProperty("fingerprint").GetString());
        Assert.Equal(admin.Ring.Current.OwnershipRatios(), gateways[2..].Select(g => g.GetProperty("ownership_after").GetDouble()));
        Assert.InRange(answer.GetProperty("moved_ratio").GetDouble(), 0.6, 1);
    }

    [Theory]
    [InlineData("100000", 100_000)]
    [InlineData("0", 0)]
    [InlineData("100001", null)]
    [InlineData("-1", null)]
    [InlineData("x", null)]
    [InlineData("", null)]
    public async Task Moves_are_counted_for_as_many_keys_as_are_asked_for(string keys, int? hashed)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        using HttpResponseMessage response = await admin.Client.GetAsync("/api/v1/simulate?add=gw3&keys=" + keys);
        Assert.Equal(hashed is null ? HttpStatusCode.BadRequest : HttpStatusCode.OK, response.StatusCode);
        JsonElement answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        if (hashed is null)
        {
            Assert.Equal("keys must be a number of sample keys from 0 to 100000", answer.GetProperty("error").GetString());
            return;
        }

        Assert.Equal(hashed, answer.GetProperty("keys").GetInt32());
        Assert.Equal(answer.GetProperty("moved").GetInt32(), answer.GetProperty("moves").EnumerateArray().Sum(static move => move.GetProperty("keys").GetInt32()));
        Assert.Equal(hashed > 0, answer.GetProperty("moved").GetInt32() > 0);
    }

    [Fact]
    public async Task A_weight_makes_a_gateway_join_with_it_or_gives_it_to_a_member()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        JsonElement answer = await admin.JsonAsync("/api/v1/simulate?add=gw1=3,gw3:9091=2");
        JsonElement[] gateways = [.. answer.GetProperty("gateways").EnumerateArray()];
        Assert.Equal([1, 1], gateways[..2].Select(g => g.GetProperty("weight_before").GetInt32()));
        Assert.Equal([3, 1, 2], gateways.Select(g => g.GetProperty("weight_after").GetInt32()));
        Assert.Equal(JsonValueKind.Null, gateways[2].GetProperty("weight_before").ValueKind);
        Assert.InRange(gateways[0].GetProperty("ownership_after").GetDouble(), 0.45, 0.55);
        HashRing<Gateway> after = HashRing<Gateway>.Build(
            gateways.Select(g => admin.Gateway(g.GetProperty("address").GetString()!)), 500, "group", g => g.Address switch { "gw1:9091" => 3, "gw2:9091" => 1, _ => 2 });
        Assert.Equal(after.Fingerprint, answer.GetProperty("fingerprint").GetString());

        // On that ring a gateway without a weight keeps its own.
        admin.Ring.Publish(after);
        Assert.Equal([3, 1, 2], (await admin.JsonAsync("/api/v1/ring")).GetProperty("members").EnumerateArray().Select(m => m.GetProperty("weight").GetInt32()));
        JsonElement removed = await admin.JsonAsync("/api/v1/simulate?remove=gw2");
        Assert.Equal(JsonValueKind.Null, removed.GetProperty("gateways")[1].GetProperty("weight_after").ValueKind);
        Assert.Equal(3, removed.GetProperty("gateways")[0].GetProperty("weight_after").GetInt32());
        string page = await admin.Client.GetStringAsync("/?add=gw2%3D5");
        Assert.Contains("<code class=\"address\">gw2:9091</code> weight 1 to 5</th>", page, StringComparison.Ordinal);
        Assert.Contains("ideal 50.0%, weight 3</span>", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("?add=gw1=1")]
    [InlineData("?add=gw1=0")]
    [InlineData("?add=gw3=101")]
    [InlineData("?add=gw3=")]
    [InlineData("?add=gw3=2,gw3:9091=3")]
    [InlineData("?add=gw1=2&remove=gw1")]
    [InlineData("?remove=gw1=2")]
    [InlineData("")]
    [InlineData("?add=&remove=")]
    [InlineData("?add=gw1")]
    [InlineData("?add=gw1:9091")]
    [InlineData("?remove=gw9")]
    [InlineData("?remove=gw1,gw2")]
    [InlineData("?add=not%20a/host")]
    [InlineData("?add=%3Cscript%3E")]
    public async Task What_cannot_be_compared_is_400_with_an_error(string query)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        JsonElement answer = await admin.JsonAsync("/api/v1/simulate" + query, HttpStatusCode.BadRequest);
        Assert.Equal(["error"], Names(answer));
        Assert.NotEmpty(answer.GetProperty("error").GetString()!);
    }

    [Fact]
    public async Task A_very_long_list_is_rejected()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        string many = string.Join(',', Enumerable.Range(0, 65).Select(i => $"new{i}"));
        await admin.JsonAsync("/api/v1/simulate?add=" + many, HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task A_ring_of_too_many_points_is_400()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        admin.Options = admin.Options with { Sharding = new ShardingOptions { Replicas = ShardingOptions.MaxPoints } };
        await admin.StartAsync();
        JsonElement response = await admin.JsonAsync("/api/v1/simulate?add=gw2", HttpStatusCode.BadRequest);
        Assert.Contains("at most 10000000 points", response.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_ring_it_is_503()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        await admin.JsonAsync("/api/v1/simulate?add=gw1", HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public void The_same_query_for_the_same_ring_is_served_from_the_cache()
    {
        var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091");
        var simulator = new RingSimulator(admin.Context());
        SimulateResponse first = simulator.Run("gw4, gw5", "gw1").Found!;
        Assert.Same(first, simulator.Run("gw5:9091,gw4:9091", "gw1:9091").Found);
        SimulateResponse other = simulator.Run("gw4", "").Found!;
        Assert.NotEqual(first.Fingerprint, other.Fingerprint);
        Assert.Same(first, simulator.Run("gw4,gw5", "gw1").Found);

        // Joining and leaving are distinct, a new ring empties the cache, and the cache is bounded.
        Assert.NotEqual(simulator.Run("", "gw2,gw3").Found!.Fingerprint, simulator.Run("", "gw2").Found!.Fingerprint);
        for (int i = 10; i < 40; i++) Assert.NotNull(simulator.Run($"gw{i}", "").Found);
        Assert.NotSame(first, simulator.Run("gw4,gw5", "gw1").Found);
        admin.Publish("gw1:9091", "gw2:9091");
        Assert.Equal(3, simulator.Run("gw4,gw5", "gw1").Found!.Gateways.Count(g => g.OwnershipAfter is not null));
    }

    [Fact]
    public void An_open_page_does_not_rebuild_the_ring_every_time()
    {
        // A ring of which one copy is megabytes, and a page that is not.
        var admin = new AdminFixture();
        admin.Options = admin.Options with { Sharding = new ShardingOptions { Replicas = 100_000 } };
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091");
        AdminContext context = admin.Context();
        var fleet = new Fleet(admin.Ring, () => admin.View, admin.Time);
        using var recent = new RecentActivity(fleet, admin.Counters, admin.Time);
        var simulator = new RingSimulator(context);
        var page = new StatusPage(context, fleet, recent, new Lookup(context), simulator);
        var query = new QueryCollection(new Dictionary<string, StringValues> { ["add"] = "gw4" });
        page.Render(new QueryCollection());
        long built = Allocated(() => simulator.Run("gw4", ""));
        long shown = Allocated(() => page.Render(query));
        Assert.InRange(built, 2_000_000, long.MaxValue);
        Assert.InRange(shown, 0, 1_000_000);
    }

    private static long Allocated(Action action)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static string[] Names(JsonElement element) => [.. element.EnumerateObject().Select(p => p.Name)];
}
