using System.Text.Json;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Users.UsersServer;

namespace DynamicSharding.FunctionalTests.Users;

/// <summary><c>http_path_prefix</c>: clients whose base URL has a path find the same owners.</summary>
public sealed class PathPrefixTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Prefix = "http_path_prefix: /pushgateway\n";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("PUT", "/pushgateway/metrics/job/a", "/metrics/job/a")]
    [InlineData("POST", "/pushgateway/metrics/job/a/instance/%62?x=1&y=/pushgateway", "/metrics/job/a/instance/%62?x=1&y=/pushgateway")]
    [InlineData("DELETE", "/pushgateway/metrics/job@base64/YS9i", "/metrics/job@base64/YS9i")]
    [InlineData("PUT", "http://elsewhere.test/pushgateway/metrics/job/a", "/metrics/job/a")]
    [InlineData("PUT", "/pushgateway/metrics/job/pushgateway/a/b", "/metrics/job/pushgateway/a/b")]
    public async Task The_prefix_is_removed_on_every_listener(string method, string target, string rest)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, gateway.Address, Prefix);
        string request = $"{method} {target} HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n";
        foreach (string listener in (string[])[Redirect, RedirectTls])
            Assert.Contains($"\r\nLocation: http://{gateway.Address}{rest}\r\n", await server.ExchangeAsync(listener, request), StringComparison.Ordinal);
        foreach (string listener in (string[])[Forwarding, ForwardTls])
        {
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(listener, request), StringComparison.Ordinal);
            Assert.Equal((method, rest), Assert.Single(gateway.TakeAll()) is var forwarded ? (forwarded.Method, forwarded.Target) : default);
        }
    }

    /// <summary>The gateways' own prefix is another key, and stays in front.</summary>
    [Fact]
    public async Task The_gateways_prefix_replaces_it()
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, gateway.Address, Prefix, "  path_prefix: /inner");
        Assert.Contains(
            $"\r\nLocation: http://{gateway.Address}/inner/metrics/job/a\r\n", await server.PushAsync(Redirect, target: "/pushgateway/metrics/job/a"), StringComparison.Ordinal);
        await server.PushAsync(Forwarding, target: "/pushgateway/metrics/job/a");
        Assert.Equal("/inner/metrics/job/a", Assert.Single(gateway.TakeAll()).Target);
    }

    [Theory]
    [InlineData("/metrics/job/a")]
    [InlineData("/")]
    [InlineData("/pushgateway")]
    [InlineData("/pushgateway/")]
    [InlineData("/pushgateway/metrics")]
    [InlineData("/pushgatewayX/metrics/job/a")]
    [InlineData("/pushgateway%2Fmetrics/job/a")]
    [InlineData("/%70ushgateway/metrics/job/a")]
    [InlineData("/Pushgateway/metrics/job/a")]
    [InlineData("//pushgateway/metrics/job/a")]
    [InlineData("/./pushgateway/metrics/job/a")]
    [InlineData("/x/../pushgateway/metrics/job/a")]
    [InlineData("/pushgateway/pushgateway/metrics/job/a")]
    [InlineData("/test/v1")]
    [InlineData("/-/healthy/")]
    [InlineData("/?/pushgateway/metrics/job/a")]
    [InlineData("http://edge.test")]
    [InlineData("http://edge.test/metrics/job/a")]
    public async Task Other_paths_are_404(string target)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, gateway.Address, Prefix);
        foreach (string listener in (string[])[Redirect, Forwarding])
        {
            Assert.StartsWith("HTTP/1.1 404 ", await server.PushAsync(listener, target: target), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 404 ", await server.ExchangeAsync(listener, Get(target)), StringComparison.Ordinal);
        }

        Assert.Empty(gateway.Requests);
    }

    [Theory, MemberData(nameof(Listeners), MemberType = typeof(UsersServer))]
    public async Task Health_checks_respond_with_and_without_it(string listener)
    {
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, "127.0.0.1:1", Prefix);
        foreach (string path in (string[])["/-/healthy", "/-/ready", "/pushgateway/-/healthy", "/pushgateway/-/ready", "/pushgateway/test/v1"])
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(listener, Get(path)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("group")]
    [InlineData("path")]
    public async Task The_owner_is_that_of_a_server_without_prefix_everywhere(string key)
    {
        const string Gateways = """
            pushgateway:
              servers: ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "10.0.0.4:9091"]
              health_check: { enabled: false }

            """;
        string config = $"{Gateways}sharding: {{ key: {key} }}\n";
        DynamicShardingProcess plain = await TestPeers.DynamicShardingAsync(config);
        DynamicShardingProcess prefixed = await TestPeers.DynamicShardingAsync(config + Prefix);
        await plain.WaitUntilReadyAsync();
        await prefixed.WaitUntilReadyAsync();
        using HttpClient admin = LoopbackHttp.Client(prefixed.AdminAddress);
        string[] paths = [.. Enumerable.Range(0, 20).Select(i => $"/metrics/job/j{i}/instance/a%2Fb{i}")];
        foreach (string path in paths)
        {
            string owner = await plain.OwnerOfAsync(path);
            Assert.Equal(owner, await prefixed.OwnerOfAsync("/pushgateway" + path));
            foreach (string typed in (string[])["/pushgateway" + path, $"http://edge.test:9292/pushgateway{path}", path])
            {
                using JsonDocument found = JsonDocument.Parse(await admin.GetStringAsync("api/v1/lookup?path=" + Uri.EscapeDataString(typed)));
                Assert.Equal(owner, found.RootElement.GetProperty("owner").GetString());
                Assert.Equal($"http://{owner}{path}", found.RootElement.GetProperty("location").GetString());
            }

            string page = await admin.GetStringAsync("?q=" + Uri.EscapeDataString("/pushgateway" + path));
            Assert.Contains($"http://{owner}{path}", page, StringComparison.Ordinal);
        }

        string[] owners = [.. await Task.WhenAll(paths.Select(plain.OwnerOfAsync))];
        foreach (string[] source in (string[][])[["--url", $"http://{prefixed.AdminAddress}"], ["--config.file", prefixed.ConfigFile]])
        {
            (int exitCode, string said) = await DynamicShardingProcess.RunAsync(["lookup", .. source, "--json", .. paths.Select(path => "/pushgateway" + path)]);
            Assert.True(exitCode == 0, said);
            using JsonDocument results = JsonDocument.Parse(said);
            Assert.Equal(owners, results.RootElement.EnumerateArray().Select(result => result.GetProperty("owner").GetString()));
        }

        string file = _folder.Write("paths", string.Join('\n', paths.Select(path => "/pushgateway" + path)));
        (int simulated, string text) = await DynamicShardingProcess.RunAsync(
            "simulate", "--config.file", prefixed.ConfigFile, "--remove", "10.0.0.1:9091", "--keys.file", file);
        Assert.True(simulated == 0, text);
        Assert.StartsWith($"{owners.Count(owner => owner == "10.0.0.1:9091")} of {paths.Length} keys move", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prefix_that_a_health_check_begins_with_leaves_it_alone()
    {
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, "127.0.0.1:1", "http_path_prefix: /-\n");
        Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(Redirect, Get("/-/healthy")), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(Redirect, Get("/-/-/healthy")), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 307 ", await server.PushAsync(Redirect, target: "/-/metrics/job/a"), StringComparison.Ordinal);
    }

    private static string Get(string target) => $"GET {target} HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n";
}
