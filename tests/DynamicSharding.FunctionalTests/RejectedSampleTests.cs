using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary><c>log.rejected_sample</c>, and the tables of ten minutes on the page.</summary>
public sealed class RejectedSampleTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Line = "request rejected (sampled)";

    [Fact]
    public async Task Zero_turns_it_off_and_a_reload_changes_it()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(0), logLevel: "info");
        await server.WaitUntilReadyAsync();
        await RejectAsync(server, "/zero");
        await ReloadAsync(server, 1000);
        await RejectAsync(server, "/thousand");
        await server.WaitForLogAsync(TimeSpan.FromSeconds(10), Line, "path=/thousand ");
        await ReloadAsync(server, 0);
        await RejectAsync(server, "/off");
        await ReloadAsync(server, 1000);
        await RejectAsync(server, "/on");
        await server.WaitForLogAsync(TimeSpan.FromSeconds(10), Line, "path=/on ");
        Assert.False(server.HasLogged("path=/zero "));
        Assert.False(server.HasLogged("path=/off "));
        Assert.Equal(4, await server.MetricAsync("dynamic_sharding_rejected_requests_total{reason=\"not_found\"}"));
    }

    [Fact]
    public async Task A_flood_has_few_lines_and_the_page_is_bounded()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config(2), logLevel: "info");
        await server.WaitUntilReadyAsync();
        string[] wrong =
        [
            "PUT /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /metrics/job/%zz HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /metrics/job/a/.. HTTP/1.1\r\nHost: x\r\n\r\n",
            "FETCH / HTTP/1.1\r\nHost: x\r\n\r\n", "PATCH /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /metrics/job/a HTTP/1.1\r\n\r\n",
            "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "PUT /metrics/job/a HTTP/2.0\r\nHost: x\r\n\r\n", "PUT /metrics/job/a XTTP/1.1\r\nHost: x\r\n\r\n",
            "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "PUT /metrics/job@base64/! HTTP/1.1\r\nHost: x\r\n\r\n",
        ];
        DateTime began = DateTime.UtcNow;
        // Enough peers for a full table on either side of a minute's end.
        for (int i = 0; i < 1200; i++)
        {
            using RawHttp client = await RawHttp.ConnectAsync(server.Address, IPAddress.Parse(i % 2 == 0 ? "127.0.0.1" : $"127.0.{1 + (i / 400)}.{1 + (i / 2 % 200)}"));
            await client.SendAsync(wrong[i % wrong.Length]);
            Assert.InRange(int.Parse((await client.ReadReplyAsync()).Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture), 400, 505);
        }

        double seconds = (DateTime.UtcNow - began).TotalSeconds;
        int lines = server.Process.Output.Split('\n').Count(static line => line.Contains(Line, StringComparison.Ordinal));
        Assert.InRange(lines, 1, 2 * ((int)seconds + 2));
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        string page = await admin.GetStringAsync("");
        string section = page[page.IndexOf("id=\"rejected\"", StringComparison.Ordinal)..];
        section = section[..section.IndexOf("</section>", StringComparison.Ordinal)];
        string[] tables = [.. section.Split("<tbody")[1..].Select(static table => table.Split("</tbody>")[0])];
        Assert.Equal([10, 10], tables.Select(static table => table.Split("<tr").Length - 1));
        Assert.Contains(">127.0.0.1<", tables[1], StringComparison.Ordinal);
        Assert.Contains("at least", tables[1], StringComparison.Ordinal);
        Assert.DoesNotContain("at least", tables[0], StringComparison.Ordinal);
    }

    private static string Config(int sample) => $$"""
        pushgateway: { servers: ["127.0.0.1:9091", "127.0.0.2:9091"], health_check: { enabled: false } }
        log: { rejected_sample: {{sample}} }
        """;

    private static async Task ReloadAsync(DynamicShardingProcess server, int sample)
    {
        server.WriteConfig(Config(sample));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
    }

    private static async Task RejectAsync(DynamicShardingProcess server, string path)
    {
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync($"PUT {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("404", (await client.ReadReplyAsync()).Split(' ')[1]);
    }
}
