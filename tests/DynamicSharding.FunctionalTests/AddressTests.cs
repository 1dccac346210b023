using System.Net;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Gateway addresses: no unreachable host joins, and two spellings are one member.</summary>
public sealed class AddressTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>System.Uri rejects the first four; the others are IPv4 addresses to some programs, names to others, or neither.</summary>
    private static readonly string[] NoHosts =
        ["a.b._c", "pgw.team._internal", "..", "a..b", "999.999.999.999", "0x7f.1", "-a-", "1.2.3", "[::1", "a b"];

    [Fact]
    public async Task Check_config_refuses_what_is_no_host_and_a_running_server_keeps_its_ring()
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml([gateway.Address]));
        await server.WaitUntilReadyAsync();
        foreach (string host in NoHosts)
        {
            server.WriteConfig(Yaml([gateway.Address, host + ":9091"]));
            (int exitCode, string text) = await DynamicShardingProcess.RunAsync("check-config", server.ConfigFile);
            Assert.True(exitCode == 2, $"{host}: exit code {exitCode}: {text}");
            (HttpStatusCode status, string answer) = await server.ReloadAsync();
            Assert.True(status != HttpStatusCode.OK, $"{host}: {answer}");
        }

        Assert.Equal([gateway.Address], await server.MembersAsync());
        await StopsCleanlyAsync(server);
    }

    [Fact]
    public async Task Hosts_from_Consul_are_judged_as_the_files_and_a_stop_is_clean()
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        await using FakeConsul consul = new([gateway.Address, .. NoHosts.Select(static host => host + ":9091")]);
        ForwardServer forward = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], Quick, $"consul_server: {{ addr: '{consul.Address}' }}\nshutdown: {{ drain_delay: 0s }}\nmembership: {{ settle: 100ms, admit_after: 200ms }}");
        DynamicShardingProcess server = forward.Process;
        foreach (string host in NoHosts) await server.WaitForLogAsync(Limit, "skipping invalid gateway address from Consul", $"{host}:9091");
        await server.WaitForMembersAsync([gateway.Address], Limit);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(gateway.Address, await server.OwnerOfAsync($"/metrics/job/q{i}"));
            Assert.StartsWith("HTTP/1.1 200 ", await forward.ExchangeAsync(ForwardServer.Put($"/metrics/job/q{i}")), StringComparison.Ordinal);
        }

        await StopsCleanlyAsync(server);
    }

    /// <summary>A name that does not resolve, one with a closed port, and an unusual one: all stay out, and the stop works.</summary>
    [Fact]
    public async Task A_gateway_that_cannot_be_reached_is_judged_and_a_stop_is_clean()
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        string[] dead = [FreePort.NextAddress(), "a_b.invalid:9091", "xn--zz.invalid:9091"];
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml([gateway.Address, .. dead]) + "membership: { settle: 100ms, mass_loss_ratio: 1 }\n");
        await server.WaitForMembersAsync([gateway.Address], Limit);
        await StopsCleanlyAsync(server);
    }

    [Fact]
    public async Task Instances_whose_files_spell_differently_have_one_ring_and_a_second_spelling_counts_once()
    {
        DynamicShardingProcess one = await TestPeers.DynamicShardingAsync(Unprobed("'[::1]:9091', PGW-0, pgw-1., '[::ffff:10.0.0.1]'"));
        DynamicShardingProcess other = await TestPeers.DynamicShardingAsync(
            Unprobed("'pgw-0:09091', 'PGW-0', 10.0.0.1, '[0:0:0:0:0:0:0:1]', pgw-1, 'pgw-1.:9091'"));

        string[] members = ["10.0.0.1:9091", "[::1]:9091", "pgw-0:9091", "pgw-1:9091"];
        await one.WaitForMembersAsync(members, Limit);
        await other.WaitForMembersAsync(members, Limit);
        Assert.Equal(await one.FingerprintAsync(), await other.FingerprintAsync());
        await other.WaitForLogAsync(Limit, "configuration warning", "PGW-0 is the same gateway as pgw-0:09091, and counts once");
        await other.WaitForLogAsync(Limit, "configuration warning", "pgw-1.:9091 is the same gateway as pgw-1, and counts once");

        (_, string canonical) = await DynamicShardingProcess.RunAsync("lookup", "--gateways", "pgw-0,pgw-1", "--json", "/metrics/job/j");
        (_, string spelled) = await DynamicShardingProcess.RunAsync("lookup", "--gateways", "PGW-1.:09091,PGW-0,pgw-0", "--json", "/metrics/job/j");
        Assert.Equal(canonical, spelled);
    }

    /// <summary>Ids that differ only in case are two to an agent and one to the catalog; other ids are two to both.</summary>
    [Theory]
    [InlineData("LOCALHOST")]
    [InlineData("localhost.")]
    public async Task Two_spellings_in_Consul_are_one_member_and_one_warning_and_both_go_with_the_gateway(string spelled)
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        PushgatewayProcess another = await TestPeers.PushgatewayAsync();
        string port = gateway.Address.Split(':')[1];
        ConsulAgent consul = await TestPeers.ConsulAsync();

        // As left by a version that registered addresses as written.
        string old = $"{spelled}_{port}";
        await RegisterAsync(consul, old, spelled, port, """{"managed-by": "dynamic-sharding"}""");
        string Config(string servers) => $$"""
            consul_server: { addr: '{{consul.Address}}' }
            pushgateway:
              servers: [{{servers}}]
            {{Patient}}
            membership: { settle: 100ms, admit_after: 200ms, mass_loss_hold: 1s }
            shutdown: { drain_delay: 0s }
            """;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Config($"'localhost:{port}', '{another.Address}'"));
        string[] members = [another.Address, "localhost:" + port];
        await Eventually.TrueAsync(
            async () => (await IdsAsync(consul)).Length == 3, Limit, () => "both gateways registered beside the old row");
        await server.WaitForLogAsync(Limit, "gateway is registered in Consul under two spellings", "localhost:" + port, old);
        await server.WaitForMembersAsync(members, Limit);
        Assert.False(server.HasLogged("registered gateway is not in the configuration"));
        Assert.Equal(0, await server.ChangesAsync());
        Assert.Single(server.Process.Output.Split('\n'), static line => line.Contains("under two spellings", StringComparison.Ordinal));

        server.WriteConfig(Config($"'{another.Address}'"));
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await Eventually.TrueAsync(
            async () => (await IdsAsync(consul)).SequenceEqual([another.Address.Replace(':', '_')]), Limit, () => "both rows of the gateway gone");
        await server.WaitForMembersAsync([another.Address], Limit);
        await StopsCleanlyAsync(server);
    }

    [Fact]
    public async Task The_longest_prefix_that_check_config_takes_is_published()
    {
        string prefix = "/" + new string('p', 1023);
        string config = "pushgateway:\n  path_prefix: " + prefix + "\n  servers: ['" + string.Join('.', Enumerable.Repeat(new string('a', 62), 4)) + ":65535', b]\n  scheme: https\n  health_check: { enabled: false }\n";
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await server.WaitUntilReadyAsync();
        using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
        int atTheLongest = 0;
        for (int i = 0; i < 50; i++)
        {
            await connection.SendAsync($"PUT /metrics/job/j{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            string reply = await connection.ReadReplyAsync();
            Assert.StartsWith("HTTP/1.1 307 ", reply, StringComparison.Ordinal);
            Assert.Contains($"{prefix}/metrics/job/j{i}\r\n", reply, StringComparison.Ordinal);
            if (reply.Contains(":65535/", StringComparison.Ordinal)) atTheLongest++;
        }

        Assert.InRange(atTheLongest, 1, 49);
    }

    /// <summary>A gateway without a verdict leaves after twice the interval and the timeout; a first registration takes up to 4 s.</summary>
    private const string Patient = "  health_check: { interval: 5s, timeout: 1s }";

    private const string Quick = "  health_check: { interval: 500ms, timeout: 400ms }";

    private static string Yaml(IEnumerable<string> servers) =>
        $"pushgateway:\n  servers: [{string.Join(", ", servers.Select(static server => JsonSerializer.Serialize(server)))}]\n{Quick}\nshutdown: {{ drain_delay: 0s }}\n";

    private static string Unprobed(string servers) => $"pushgateway:\n  servers: [{servers}]\n  health_check: {{ enabled: false }}\n";

    private static async Task StopsCleanlyAsync(DynamicShardingProcess server)
    {
        server.Process.Terminate();
        Assert.Equal(0, await server.Process.WaitForExitAsync(Limit));
        Assert.False(server.HasLogged("level=error", "job"), server.Process.Output);
        Assert.DoesNotContain("Unhandled", server.Process.Output, StringComparison.Ordinal);
    }

    private static Task<string> RegisterAsync(ConsulAgent consul, string id, string host, string port, string meta) => consul.PutAsync(
        "v1/agent/service/register",
        $$"""{"ID": "{{id}}", "Name": "pushgateway", "Address": "{{host}}", "Port": {{port}}, "Meta": {{meta}}, "Check": {"TCP": "127.0.0.1:{{port}}", "Interval": "1s"} }""");

    private static async Task<string[]> IdsAsync(ConsulAgent consul) =>
        [.. (await consul.GetAsync("v1/agent/services")).EnumerateObject().Select(static service => service.Name)];
}
