using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>8. Misleading registrations in Consul: strangers, dead gateways that pass, and live ones that are hidden.</summary>
public sealed class RegistrationTrustTests(ITestOutputHelper output) : FaultTest(output)
{
    private const string Fast = "membership: { settle: 100ms, admit_after: 300ms, allow: ALLOW }\n";

    [Fact]
    public async Task A_stranger_that_is_not_allowed_gets_no_request_and_is_shown()
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ConsulAgent consul = await TestPeers.ConsulAsync();
        ConcurrentQueue<string> received = [];
        await using LoopbackServer stranger = new(async (socket, ct) =>
        {
            received.Enqueue("");
            byte[] buffer = new byte[4096];
            int count = await socket.ReceiveAsync(buffer, ct);
            received.Enqueue(Encoding.ASCII.GetString(buffer, 0, count));
            await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"u8.ToArray(), ct);
        });
        string password = Folder.Write("password", "sesame");
        string config = $"consul_server: {{ addr: \"{consul.Address}\" }}\n" + Fast + $$"""
            pushgateway:
              servers: ["{{gateway.Address}}"]
              basic_auth: { username: edge, password_file: "{{password}}" }
              health_check: { interval: 1s, timeout: 1s, type: http }
            """;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config.Replace("ALLOW", "configured", StringComparison.Ordinal));
        await consul.WaitForPassingAsync("pushgateway", [gateway.Address], Limit);
        await server.WaitForMembersAsync([gateway.Address], Limit);
        Assert.False(server.HasLogged("level=warn", "registers an instance in Consul"));

        // Only a catalog row, as anyone can write it: without a check, so only our own probe could judge it.
        await RegisterAsync(consul, "stranger", stranger.Address, check: null);
        await server.WaitForLogAsync(Limit, "level=warn", "membership.allow", stranger.Address);
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.Empty(received);
        Assert.Equal("refused", await StateAsync(server, stranger.Address));
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_gateways_refused"));
        Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_gateway_state{{gateway=\"{stranger.Address}\",state=\"refused\"}}"));
        Assert.Contains(await WarningsAsync(server), text => text.Contains("membership.allow", StringComparison.Ordinal) && text.Contains(stranger.Address, StringComparison.Ordinal));
        using (HttpClient page = LoopbackHttp.Client(server.AdminAddress))
        {
            Assert.Contains($"<code class=\"address\">{stranger.Address}</code></th>\n<td role=\"cell\" data-label=\"State\"><span class=\"state refused\">", await page.GetStringAsync(""), StringComparison.Ordinal);
        }

        await NothingChangedAsync(server);

        // Once allowed, it joins by the normal rules and gets this.
        server.WriteConfig(config.Replace("ALLOW", "[127.0.0.0/8]", StringComparison.Ordinal));
        await server.ReloadAsync();
        await server.WaitForRingAsync([gateway.Address, stranger.Address], Limit);
        Assert.Contains(received, text => text.Contains("Authorization: Basic", StringComparison.Ordinal));

        // After a stricter rule it is out as soon as the reload has its response.
        server.WriteConfig(config.Replace("ALLOW", "[10.0.0.0/8, \"*.pgw.internal\"]", StringComparison.Ordinal));
        await server.ReloadAsync();
        await server.WaitForRingAsync([gateway.Address], Limit);
        Assert.Equal(1, await server.MetricAsync("dynamic_sharding_ring_changes_total{reason=\"reload\"}"));
        Assert.Equal("refused", await StateAsync(server, stranger.Address));
        await Task.Delay(TimeSpan.FromSeconds(1)); // a probe that was under way
        int before = received.Count;
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.Equal(before, received.Count);
    }

    [Fact]
    public async Task Credentials_for_whoever_registers_are_warned_about_by_check_config_and_at_the_start()
    {
        string password = Folder.Write("password", "sesame");
        string config = $$"""
            consul_server: { addr: "127.0.0.1:1" }
            pushgateway:
              servers: ["127.0.0.1:9091"]
              basic_auth: { username: edge, password_file: "{{password}}" }

            """;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await server.WaitForLogAsync(Limit, "level=warn", "pushgateway.basic_auth.username", "membership.allow");
        (int code, string text) = await DynamicShardingProcess.RunAsync("check-config", Folder.Write("any.yml", config));
        Assert.Equal(0, code);
        Assert.Contains("set membership.allow to configured", text, StringComparison.Ordinal);
        (code, text) = await DynamicShardingProcess.RunAsync("check-config", Folder.Write("configured.yml", config + "membership: { allow: configured }\n"));
        Assert.Equal(0, code);
        Assert.DoesNotContain("membership.allow", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_registered_as_passing_before_any_check_ran_joins_once_our_own_probe_passed()
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        ConsulAgent consul = await TestPeers.ConsulAsync();
        string config = Yaml(consul.Address, [gateway.Address], "interval: 1s, timeout: 1s", Fast.Replace("ALLOW", "any", StringComparison.Ordinal));
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await SettleAsync(consul, [gateway.Address], server);

        string withStatus = FreePort.NextAddress(), withoutCheck = FreePort.NextAddress(), withOutput = FreePort.NextAddress();
        await RegisterAsync(consul, "status", withStatus, check: "");
        await RegisterAsync(consul, "nothing", withoutCheck, check: null);

        // A registration on an agent with an initial status, whose check does not run during this test.
        string[] parts = withStatus.Split(':');
        await consul.PutAsync("v1/agent/service/register", $$"""
            {"ID":"early","Name":"pushgateway","Address":"{{parts[0]}}","Port":{{parts[1]}},
             "Check":{"TCP":"{{withStatus}}","Interval":"10m","Timeout":"1s","Status":"passing"} }
            """);
        await RegisterAsync(consul, "output", withOutput, check: "200 OK");

        // Only the last registration joins on Consul's status.
        await server.WaitForRingAsync([gateway.Address, withOutput], Limit);
        await Task.Delay(TimeSpan.FromSeconds(5));
        await server.WaitForRingAsync([gateway.Address, withOutput], TimeSpan.FromSeconds(1));
        Assert.Equal("out", await StateAsync(server, withStatus));
        Assert.Equal("out", await StateAsync(server, withoutCheck));

        // A new instance agrees: with output, it joins on Consul's status at the start as well.
        DynamicShardingProcess other = await TestPeers.DynamicShardingAsync(config);
        await other.WaitForRingAsync([gateway.Address, withOutput], Limit);
        Assert.Equal(1, await other.MetricAsync("dynamic_sharding_ring_changes_total{reason=\"first_answer\"}"));

        PushgatewayProcess late = await TestPeers.PushgatewayAsync(withoutCheck);
        string[] all = [gateway.Address, withOutput, withoutCheck];
        await server.WaitForRingAsync(all, Limit);
        await other.WaitForRingAsync(all, Limit);

        // Leaving depends on Consul's status.
        late.Process.Kill();
        await Task.Delay(TimeSpan.FromSeconds(6));
        await server.WaitForRingAsync(all, TimeSpan.FromSeconds(1));
        await consul.PutAsync("v1/catalog/deregister", """{"Node":"nothing"}""");
        await server.WaitForRingAsync([gateway.Address, withOutput], Limit);
    }

    [Fact]
    public async Task A_configured_gateway_that_the_token_cannot_see_stays_while_it_passes_our_own_probe_on_every_instance()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        string[] addresses = Addresses(gateways);
        ConsulAgent consul = await TestPeers.ConsulAsync(ConsulAgentSettings.Development() with { MasterToken = Guid.NewGuid().ToString() });
        for (int i = 0; i < 3; i++) await RegisterAsync(consul, string.Create(CultureInfo.InvariantCulture, $"n{i}"), addresses[i], check: "200 OK");
        const string Write = "service \"pushgateway\" { policy = \"write\" }\n";
        (_, string seeing) = await consul.CreateTokenAsync(Write + "node_prefix \"\" { policy = \"read\" }");
        (_, string blind) = await consul.CreateTokenAsync(Write + "node \"n0\" { policy = \"read\" }\nnode \"n1\" { policy = \"read\" }");
        Folder.Write("token", seeing);
        string config = $"consul_server: {{ addr: \"{consul.Address}\", token_file: \"{Path.Combine(Folder.Path, "token")}\" }}\n"
            + Yaml(null, addresses, "interval: 1s, timeout: 1s", Fast.Replace("ALLOW", "configured", StringComparison.Ordinal));
        DynamicShardingProcess running = await TestPeers.DynamicShardingAsync(config);
        await SettleAsync(consul, addresses, running);
        Assert.False(running.HasLogged("node:read"));

        // The pending poll has the old rights; this write ends it.
        Folder.Write("token", blind);
        await consul.PutAsync("v1/agent/service/register", $$"""{"ID":"noise","Name":"pushgateway","Address":"{{addresses[0].Split(':')[0]}}","Port":{{addresses[0].Split(':')[1]}} }""");
        Measured("a gateway that the token cannot see told of after", await running.WaitForLogAsync(2 * Limit, "level=warn", "node:read", addresses[2]));
        DynamicShardingProcess starting = await TestPeers.DynamicShardingAsync(config);
        await starting.WaitForLogAsync(Limit, "level=warn", "node:read", addresses[2]);
        foreach (DynamicShardingProcess server in (DynamicShardingProcess[])[running, starting])
        {
            await server.WaitForMembersAsync(addresses, Limit);
            await NothingChangedAsync(server);
            Assert.Contains(await WarningsAsync(server), text => text.Contains("node:read", StringComparison.Ordinal) && text.Contains(addresses[2], StringComparison.Ordinal));
            Assert.Equal(1, await server.MetricAsync("dynamic_sharding_gateways_hidden"));
        }

        Assert.Equal(await running.FingerprintAsync(), await starting.FingerprintAsync());

        // Only our own probe can notice that it died.
        gateways[2].Process.Kill();
        await running.WaitForRingAsync(addresses[..2], Limit);
        await starting.WaitForRingAsync(addresses[..2], Limit);
        await TestPeers.PushgatewayAsync(addresses[2]);
        await running.WaitForMembersAsync(addresses, Limit);
        await starting.WaitForMembersAsync(addresses, Limit);
    }

    /// <summary>A row on a node without an agent: it never changes, and its check never runs.</summary>
    /// <param name="consul">Where.</param>
    /// <param name="node">The node's name.</param>
    /// <param name="address">The instance's.</param>
    /// <param name="check">The output of a check that is passing; null for no check at all.</param>
    private static Task<string> RegisterAsync(ConsulAgent consul, string node, string address, string? check)
    {
        string[] parts = address.Split(':');
        string id = ConsulAgent.ServiceId(address);
        string checks = check is null ? "" : $$""","Check":{"CheckID":"c-{{node}}","Name":"c","Status":"passing","Output":"{{check}}","ServiceID":"{{id}}"}""";
        return consul.PutAsync("v1/catalog/register", $$"""
            {"Node":"{{node}}","Address":"{{parts[0]}}","Service":{"ID":"{{id}}","Service":"pushgateway","Address":"{{parts[0]}}","Port":{{parts[1]}} }{{checks}} }
            """);
    }

    private static async Task<string?> StateAsync(DynamicShardingProcess server, string address) =>
        (await server.StatusAsync()).GetProperty("members").EnumerateArray()
            .Where(member => member.GetProperty("address").GetString() == address)
            .Select(member => member.GetProperty("state").GetString()).SingleOrDefault();

    private static async Task<string[]> WarningsAsync(DynamicShardingProcess server) =>
        [.. (await server.StatusAsync()).GetProperty("warnings").EnumerateArray().Select(warning => warning.GetRawText())];
}
