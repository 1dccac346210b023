using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Admin;

public sealed class LookupTests
{
    [Theory]
    [InlineData("/metrics/job/a", "/metrics/job/a")]
    [InlineData("/metrics/job/a/instance/b%2Fc", "/metrics/job/a/instance/b%2Fc")]
    [InlineData("/metrics/job@base64/YQ==", "/metrics/job@base64/YQ==")]
    [InlineData("/metrics/job/a?x=1", "/metrics/job/a")]
    [InlineData("http://edge.example:9292/metrics/job/a+b?x=1", "/metrics/job/a+b")]
    [InlineData("HTTPS://edge/metrics/job/%E4%B8%AD", "/metrics/job/%E4%B8%AD")]
    public async Task Owner_and_location_are_those_of_the_data_plane(string asked, string path)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091");
        await admin.StartAsync();
        JsonElement found = await admin.JsonAsync("/api/v1/lookup?path=" + Uri.EscapeDataString(asked));

        var key = new GroupingKey(ShardingKey.Group, 8192);
        Assert.Equal(GroupVerdict.Group, key.Compute(Encoding.UTF8.GetBytes(path), out ReadOnlySpan<byte> location));
        Gateway owner = admin.Ring.Current!.Find(key.Hash);
        string target = "http://" + owner.Address + Encoding.ASCII.GetString(location);
        Assert.Equal(["path", "key", "hash", "owner", "runner_up", "location"], found.EnumerateObject().Select(p => p.Name));
        Assert.Equal(path, found.GetProperty("path").GetString());
        Assert.Equal("group", found.GetProperty("key").GetString());
        Assert.Equal(key.Hash, found.GetProperty("hash").GetUInt32());
        Assert.Equal(owner.Address, found.GetProperty("owner").GetString());
        Assert.Equal(admin.Ring.Current.FindRunnerUp(key.Hash)!.Address, found.GetProperty("runner_up").GetString());
        Assert.Equal(target, found.GetProperty("location").GetString());
    }

    [Fact]
    public async Task A_ring_of_one_has_no_runner_up()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        JsonElement found = await admin.JsonAsync("/api/v1/lookup?path=/metrics/job/a");
        Assert.Equal("gw1:9091", found.GetProperty("owner").GetString());
        Assert.Equal(JsonValueKind.Null, found.GetProperty("runner_up").ValueKind);
    }

    [Theory]
    [InlineData("")]
    [InlineData("?path=")]
    [InlineData("?other=/metrics/job/a")]
    [InlineData("?path=metrics/job/a")]
    [InlineData("?path=/metrics/job/a%23b")]
    [InlineData("?path=ftp%3A%2F%2Fhost%2Fmetrics%2Fjob%2Fa")]
    [InlineData("?path=http%3A%2F%2Fhost")]
    [InlineData("?path=http%3A%2F%2F")]
    [InlineData("?path=/")]
    [InlineData("?path=/api/v1/metrics")]
    [InlineData("?path=/metrics/job/a+b")]
    [InlineData("?path=/metrics/job/a%00b")]
    [InlineData("?path=/metrics/job/a%0D%0Ab")]
    [InlineData("?path=/metrics/job/a%7Fb")]
    [InlineData("?path=/metrics/job/a&path=/metrics/job/b")]
    public async Task Anything_else_is_400_with_an_error(string query)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        JsonElement answer = await admin.JsonAsync("/api/v1/lookup" + query, HttpStatusCode.BadRequest);
        Assert.Equal(["error"], answer.EnumerateObject().Select(p => p.Name));
        Assert.NotEmpty(answer.GetProperty("error").GetString()!);
    }

    [Fact]
    public async Task A_path_longer_than_a_request_line_is_400()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        await admin.JsonAsync("/api/v1/lookup?path=/metrics/job/" + new string('a', 8192), HttpStatusCode.BadRequest);
    }
}
