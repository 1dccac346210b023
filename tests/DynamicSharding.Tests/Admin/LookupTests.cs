using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
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
        Assert.Equal(GroupResult.Group, key.Compute(Encoding.UTF8.GetBytes(path), out ReadOnlySpan<byte> location));
        Gateway owner = admin.Ring.Current!.Find(key.Hash);
        string target = "http://" + owner.Address + Encoding.ASCII.GetString(location);
        Assert.Equal(["path", "key", "hash", "owner", "runner_up", "location", "group_key", "curl", "note"], found.EnumerateObject().Select(p => p.Name));
        Assert.Equal(path, found.GetProperty("path").GetString());
        Assert.Equal("group", found.GetProperty("key").GetString());
        Assert.Equal(key.Hash, found.GetProperty("hash").GetUInt32());
        Assert.Equal(owner.Address, found.GetProperty("owner").GetString());
        Assert.Equal(admin.Ring.Current.FindRunnerUp(key.Hash)!.Address, found.GetProperty("runner_up").GetString());
        Assert.Equal(target, found.GetProperty("location").GetString());
        Assert.Equal($"curl --data-binary @metrics.txt '{target}'", found.GetProperty("curl").GetString());
        Assert.StartsWith("/metrics/job", found.GetProperty("group_key").GetString(), StringComparison.Ordinal);
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
    [InlineData("?path=/metrics/job/a&q=job%3Da")]
    [InlineData("?q=")]
    [InlineData("?q=%20")]
    [InlineData("?q=instance%3Da")]
    [InlineData("?q=job%3Da,job%3Db")]
    [InlineData("?q=job%3D%22a")]
    [InlineData("?q=job!%3Da")]
    [InlineData("?q=job%3Da+hello")]
    [InlineData("?q=hello")]
    [InlineData("?q=__name__%3Da,job%3Db")]
    [InlineData("?q=ftp://host/metrics/job/a")]
    public async Task Anything_else_is_400_with_an_error(string query)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        JsonElement answer = await admin.JsonAsync("/api/v1/lookup" + query, HttpStatusCode.BadRequest);
        Assert.Equal(["error"], answer.EnumerateObject().Select(p => p.Name));
        Assert.NotEmpty(answer.GetProperty("error").GetString()!);
    }

    [Theory]
    [InlineData("job=a", "/metrics/job/a")]
    [InlineData("instance=b, job=a", "/metrics/job/a/instance/b")]
    [InlineData("{job=\"a\", instance=\"b c\"}", "/metrics/job/a/instance/b%20c")]
    [InlineData("push_time_seconds{instance=\"\",job=\"a/b\"}", "/metrics/job@base64/YS9i/instance@base64/=")]
    [InlineData("job=\"\u4e2d \\\"x\\\"\" zone=..", "/metrics/job/%E4%B8%AD%20%22x%22/zone@base64/Li4")]
    [InlineData("/metrics/job/a b", "/metrics/job/a%20b")]
    [InlineData("metrics/job/a", "/metrics/job/a")]
    [InlineData("job/a/instance/b", "/metrics/job/a/instance/b")]
    [InlineData(" http://edge:9292/metrics/job/a?x=y ", "/metrics/job/a")]
    public async Task A_question_is_a_path_a_url_or_labels(string question, string path)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091");
        await admin.StartAsync();
        JsonElement asked = await admin.JsonAsync("/api/v1/lookup?q=" + Uri.EscapeDataString(question));
        JsonElement expected = await admin.JsonAsync("/api/v1/lookup?path=" + Uri.EscapeDataString(path));
        Assert.Equal(expected.ToString(), asked.ToString());
    }

    [Fact]
    public async Task The_command_is_one_word_for_a_shell_whatever_the_path_holds()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        JsonElement found = await admin.JsonAsync("/api/v1/lookup?path=" + Uri.EscapeDataString("/metrics/job/a';reboot;'$(b)`c`"));
        Assert.Equal(
            "curl --data-binary @metrics.txt 'http://gw1:9091/metrics/job/a'\\'';reboot;'\\''$(b)`c`'", found.GetProperty("curl").GetString());
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
