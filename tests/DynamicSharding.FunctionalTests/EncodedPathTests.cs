using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// However a group is spelled, the redirect does not change what arrives: a real Pushgateway lists the same group
/// as after a direct push.
/// </summary>
public sealed class EncodedPathTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>Spellings that Pushgateway accepts, one character per byte.</summary>
    private static readonly string[] Paths =
    [
        "/metrics/job/plain/instance/x",
        "/metrics/job/a%2Fb/c",
        "/metrics/job/slash%2finstance%2fx",
        "/metrics/job/with%20space/instance/x%20y",
        "/metrics/job/plus+sign/instance/%2B",
        "/metrics/job/percent%25/query/a%3Fb/fragment/%23c",
        "/metrics/job/%E4%BD%9C%E4%B8%9A/instance/b%C3%BC",
        "/metrics/job/\u00E4\u00BD\u009C\u00E4\u00B8\u009A-raw/instance/b\u00C3\u00BC",
        "/metrics/job/%6eeedless/%69nstance/%78",
        "/metrics/job@base64/YS9i",
        "/metrics/job@base64/5L2c5Lia/path@base64/L3Zhci90bXA",
        "/metrics/job/padded/path@base64/L3Zhci90bXA=",
        "/metrics/job/escaped-at/path%40base64/L3Zhci90bXA",
        "/metrics/job/empty/instance@base64/=",
        "/metrics/job/trailing-slash/",
        "/metrics/job/quotes/instance/a%22b%5Cc%27",
    ];

    [Fact, Trait("Smoke", "true")]
    public async Task Encoded_paths_reach_the_gateway_unchanged()
    {
        PushgatewayProcess direct = await TestPeers.PushgatewayAsync();
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"pushgateway:\n  servers: [\"{string.Join("\", \"", gateways.Select(gateway => gateway.Address))}\"]\n");
        await server.WaitUntilReadyAsync();

        HashSet<string> expected = [];
        foreach (string path in Paths)
        {
            Assert.StartsWith("HTTP/1.1 200 ", await PutAsync(direct.Address, path), StringComparison.Ordinal);
            string group = Assert.Single(await direct.GroupsAsync(), group => expected.Add(group));

            Uri location = await LocationAsync(server, path);
            PushgatewayProcess owner = Assert.Single(gateways, gateway => gateway.Address == location.Authority);
            string[] before = await owner.GroupsAsync();
            Assert.StartsWith("HTTP/1.1 200 ", await PutAsync(owner.Address, location.PathAndQuery), StringComparison.Ordinal);
            Assert.Equal(group, Assert.Single((await owner.GroupsAsync()).Except(before)));
        }

        string[][] all = await Task.WhenAll(gateways.Select(gateway => gateway.GroupsAsync()));
        Assert.Equal(expected.Order(), all.SelectMany(groups => groups).Order());
    }

    /// <summary>Pushgateway 1.5.1 would hang on every later push of that form.</summary>
    [Fact]
    public async Task A_job_that_is_no_base64_and_a_blank_value_reach_no_gateway()
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        string forward = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"forward_listen_addr: {forward}\npushgateway:\n  servers: [\"{gateway.Address}\"]\n");
        await server.WaitUntilReadyAsync();
        foreach (string listener in new[] { server.Address, forward })
        {
            foreach (string method in new[] { "PUT", "POST", "DELETE", "GET" })
            {
                string reply = await SendAsync(method, listener, "/metrics/job@base64/*");
                Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
                Assert.Contains("job@base64", reply, StringComparison.Ordinal);
                Assert.StartsWith("HTTP/1.1 400 ", await SendAsync(method, listener, "/metrics/job%40base64/Y/x/1"), StringComparison.Ordinal);
                reply = await SendAsync(method, listener, "/metrics/job/j/a//b//c/d");
                Assert.StartsWith("HTTP/1.1 400 ", reply, StringComparison.Ordinal);
                Assert.Contains("a@base64/=", reply, StringComparison.Ordinal);
            }

            Assert.StartsWith("HTTP/1.1 307 ", await PutAsync(server.Address, "/metrics//job/j"), StringComparison.Ordinal);
        }

        Assert.StartsWith("HTTP/1.1 200 ", await PutAsync(forward, "/metrics/job@base64/YQ"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200 ", await PutAsync(forward, "/metrics/job/j//a/b"), StringComparison.Ordinal);
        Assert.Equal(2, (await gateway.GroupsAsync()).Length);
        Assert.Equal(8, await server.MetricAsync("dynamic_sharding_forward_refused_total{reason=\"bad_job_base64\"}"));
    }

    private static async Task<Uri> LocationAsync(DynamicShardingProcess server, string path)
    {
        string reply = await PutAsync(server.Address, path);
        Assert.StartsWith("HTTP/1.1 307 ", reply, StringComparison.Ordinal);
        string field = Assert.Single(reply.Split("\r\n"), line => line.StartsWith("Location: ", StringComparison.Ordinal));

        // As received: System.Uri would otherwise normalize the path.
        return new Uri(field["Location: ".Length..], new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
    }

    private static Task<string> PutAsync(string address, string path) => SendAsync("PUT", address, path);

    private static async Task<string> SendAsync(string method, string address, string path)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(address);
        await connection.SendAsync($"{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 8\r\n\r\nvalue 1\n");
        return await connection.ReadReplyAsync();
    }
}
