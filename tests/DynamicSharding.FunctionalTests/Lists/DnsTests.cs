using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Lists;

/// <summary>Gateways from a real dnsmasq on loopback, real Pushgateways on addresses of 127.0.0.0/8.</summary>
public sealed class DnsTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task With_A_records_the_members_are_the_addresses_and_a_moved_one_is_seen_within_two_seconds()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = await GatewaysAsync(port, 4);
        dns.SetAddresses(new() { ["pgw.test"] = [Ip(1), Ip(2), Ip(3)] });
        DynamicShardingProcess server = await StartAsync(dns, $"names: [pgw.test], type: A, port: {port}");
        await server.WaitForMembersAsync(gateways[..3], Limit);
        Assert.Equal(0, await server.ChangesAsync());

        // Nobody listens on the last one, so our own probes keep it out.
        dns.SetAddresses(new() { ["pgw.test"] = [Ip(1), Ip(2), Ip(4), Ip(5)] });
        Stopwatch moved = Stopwatch.StartNew();
        await server.WaitForGatewayAsync(gateways[3], Limit);
        Assert.True(moved.Elapsed < TimeSpan.FromSeconds(10), $"seen after {moved.Elapsed}");
        await server.WaitForRingAsync([gateways[0], gateways[1], gateways[3]], Limit);

        // One out and one in: never more changes than that.
        Assert.InRange(await server.ChangesAsync(), 1, 2);
    }

    /// <summary>As while a pod has ended and its successor has no address yet.</summary>
    [Fact]
    public async Task An_SRV_record_that_is_missing_for_less_than_the_hold_changes_nothing()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        await GatewaysAsync(port, 3);
        string[] records = [.. Enumerable.Range(1, 3).Select(i => DnsmasqProcess.Srv("_push._tcp.pgw.test", $"pgw-{i}.pgw.test", port))];
        await dns.SetRecordsAsync(records);
        dns.SetAddresses(Enumerable.Range(1, 3).ToDictionary(i => $"pgw-{i}.pgw.test", i => (string[])[Ip(i)]));
        DynamicShardingProcess server = await StartAsync(dns, "names: [_push._tcp.pgw.test]", "membership: { settle: 1s, admit_after: 1s, mass_loss_hold: 12s }");
        string[] members = [.. Enumerable.Range(1, 3).Select(i => At($"pgw-{i}.pgw.test", port))];
        await server.WaitForMembersAsync(members, Limit);

        await dns.SetRecordsAsync(records[1..]);
        await Task.Delay(TimeSpan.FromSeconds(5));
        await dns.SetRecordsAsync(records);
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.Equal(members, await server.MembersAsync());
        Assert.Equal(0, await server.ChangesAsync());

        // For good.
        await dns.SetRecordsAsync(records[1..]);
        await server.WaitForRingAsync(members[1..], TimeSpan.FromSeconds(40));
        Assert.Equal(1, await server.ChangesAsync());
    }

    [Fact]
    public async Task With_SRV_records_the_members_are_the_targets_and_a_moved_address_changes_nothing()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        PushgatewayProcess old = await TestPeers.PushgatewayAsync(At(Ip(1), port));
        for (int i = 2; i <= 3; i++) await TestPeers.PushgatewayAsync(At(Ip(i), port));

        // Another priority and another weight make no difference: both are members, with the same share.
        await dns.SetRecordsAsync(
            DnsmasqProcess.Srv("_push._tcp.pgw.test", "PGW-0.pgw.test", port, priority: 10, weight: 5),
            DnsmasqProcess.Srv("_push._tcp.pgw.test", "pgw-1.pgw.test", port, priority: 20, weight: 60));
        dns.SetAddresses(new() { ["pgw-0.pgw.test"] = [Ip(1)], ["pgw-1.pgw.test"] = [Ip(2)] });
        DynamicShardingProcess server = await StartAsync(dns, "names: [_push._tcp.pgw.test]");
        string[] members = [At("pgw-0.pgw.test", port), At("pgw-1.pgw.test", port)];
        await server.WaitForMembersAsync(members, Limit);
        string fingerprint = await server.FingerprintAsync();
        Assert.All((await server.StatusAsync()).GetProperty("members").EnumerateArray(), member => Assert.Equal(1, member.GetProperty("weight").GetInt32()));

        // The probe reaches the new address: after the end of the old one, a gateway whose probes still went there would be lost.
        dns.SetAddresses(new() { ["pgw-0.pgw.test"] = [Ip(3)], ["pgw-1.pgw.test"] = [Ip(2)] });
        await Task.Delay(TimeSpan.FromSeconds(3));
        old.Process.Kill();
        await Task.Delay(TimeSpan.FromSeconds(8));
        await server.WaitForMembersAsync(members, Limit);
        Assert.Equal(fingerprint, await server.FingerprintAsync());
        Assert.Equal(0, await server.ChangesAsync());
    }

    [Theory, Trait("Category", "Slow")]
    [InlineData("A")]
    [InlineData("SRV")]
    public async Task A_dead_name_server_changes_nothing_for_a_minute(string type)
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = await GatewaysAsync(port, 3);
        if (type == "SRV")
        {
            // The addresses of the targets come from the dead server, too.
            string[] names = [.. Enumerable.Range(1, 3).Select(i => $"pgw-{i}.test")];
            await dns.SetRecordsAsync([.. names.Select(name => DnsmasqProcess.Srv("pgw.test", name, port))]);
            dns.SetAddresses(names.Select((name, i) => (name, i)).ToDictionary(each => each.name, each => (string[])[Ip(each.i + 1)]));
            gateways = [.. names.Select(name => At(name, port))];
        }
        else
        {
            dns.SetAddresses(new() { ["pgw.test"] = [Ip(1), Ip(2), Ip(3)] });
        }

        DynamicShardingProcess server = await StartAsync(dns, $"names: [pgw.test], type: {type}" + (type == "A" ? $", port: {port}" : ""));

        // With a verdict on each: a target whose address was never found is held as one that is lost.
        await server.WaitUntilReadyAsync();
        await server.WaitForMembersAsync(gateways, Limit);

        // Silent for half of the time, refusing for the other half.
        dns.Suspend();
        await Task.Delay(TimeSpan.FromSeconds(30));
        Assert.Contains("pgw.test: no usable response", await LastErrorAsync(server), StringComparison.Ordinal);
        dns.Resume();
        await dns.StopAsync();
        await Task.Delay(TimeSpan.FromSeconds(30));
        Assert.Contains("pgw.test: no usable response", await LastErrorAsync(server), StringComparison.Ordinal);
        Assert.Equal(gateways, await server.MembersAsync());
        Assert.Equal(0, await server.ChangesAsync());

        await dns.RestartAsync();
        await Eventually.TrueAsync(async () => await LastErrorAsync(server) == "", Limit, () => "the end of the outage");
        await server.WaitForLogAsync(Limit, "gateway list usable again", "pgw.test");
        Assert.Equal(0, await server.ChangesAsync());
    }

    [Fact]
    public async Task A_name_that_does_not_exist_is_a_loss_after_the_hold_and_the_last_one_is_never_lost()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = await GatewaysAsync(port, 4);
        dns.SetAddresses(new() { ["a.test"] = [Ip(1), Ip(2), Ip(3)], ["b.test"] = [Ip(4)] });
        DynamicShardingProcess server = await StartAsync(
            dns, $"names: [a.test, b.test], type: A, port: {port}", "membership: { settle: 1s, admit_after: 1s, mass_loss_hold: 6s }");
        await server.WaitForMembersAsync(gateways, Limit);

        dns.SetAddresses(new() { ["a.test"] = [Ip(1), Ip(2), Ip(3)] });
        await Eventually.TrueAsync(async () => (await LastErrorAsync(server)).Contains("b.test: the name does not exist (NXDOMAIN)", StringComparison.Ordinal), Limit, () => "NXDOMAIN");
        Stopwatch since = Stopwatch.StartNew();
        Assert.Equal(0, await server.ChangesAsync());
        await server.WaitForRingAsync(gateways[..3], Limit);
        Assert.True(since.Elapsed > TimeSpan.FromSeconds(3), $"lost after {since.Elapsed}");
        Assert.Equal(1, await server.ChangesAsync());

        dns.SetAddresses([]);
        await Eventually.TrueAsync(async () => (await LastErrorAsync(server)).Contains("a.test: the name does not exist", StringComparison.Ordinal), Limit, () => "NXDOMAIN of both");
        await Task.Delay(TimeSpan.FromSeconds(9));
        Assert.Equal(gateways[..3], await server.MembersAsync());
        Assert.Equal(1, await server.ChangesAsync());
    }

    [Fact]
    public async Task A_name_without_records_keeps_the_last_list()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = await GatewaysAsync(port, 2);
        dns.SetAddresses(new() { ["pgw.test"] = [Ip(1), Ip(2)] });
        DynamicShardingProcess server = await StartAsync(
            dns, $"names: [pgw.test], type: A, port: {port}", "membership: { settle: 0s, admit_after: 1s, mass_loss_hold: 1s }");
        await server.WaitForMembersAsync(gateways, Limit);
        dns.SetAddresses(new() { ["pgw.test"] = ["fd00::1"] });
        await Eventually.TrueAsync(async () => (await LastErrorAsync(server)).Contains("pgw.test: there is no A record", StringComparison.Ordinal), Limit, () => "NODATA");
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.Equal(gateways, await server.MembersAsync());
        Assert.Equal(0, await server.ChangesAsync());
    }

    [Fact]
    public async Task Two_hundred_records_come_over_TCP_whole()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        string[] records = [.. Enumerable.Range(0, 200).Select(i => DnsmasqProcess.Srv("_push._tcp.pgw.test", $"a-long-name-of-a-gateway-{i:000}.pgw.test", 9091))];
        await dns.SetRecordsAsync(records);
        DynamicShardingProcess server = await StartAsync(dns, "names: [_push._tcp.pgw.test]", "", "pushgateway: { health_check: { enabled: false } }\nsharding: { replicas: 10 }");
        await server.WaitUntilReadyAsync();
        string[] members = await server.MembersAsync();
        Assert.Equal(200, members.Length);
        Assert.Contains("a-long-name-of-a-gateway-199.pgw.test:9091", members);
    }

    [Fact]
    public async Task A_chain_of_CNAMEs_leads_to_the_addresses()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = await GatewaysAsync(port, 2);
        dns.SetAddresses(new() { ["end.test"] = [Ip(1), Ip(2)] });
        await dns.SetRecordsAsync("cname=one.test,two.test", "cname=two.test,three.test", "cname=three.test,end.test");

        // Without dns.port: that of pushgateway.port.
        DynamicShardingProcess server = await StartAsync(
            dns, "names: [one.test], type: A", more: string.Create(CultureInfo.InvariantCulture, $"pushgateway: {{ port: {port}, health_check: {{ interval: 1s, timeout: 1s }} }}"));
        await server.WaitForMembersAsync(gateways, Limit);
    }

    [Fact]
    public async Task Without_a_response_the_start_waits_and_says_for_what()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = await GatewaysAsync(port, 1);
        await dns.StopAsync();
        DynamicShardingProcess server = await StartAsync(dns, $"names: [pgw.test], type: A, port: {port}");
        await server.WaitForLogAsync(Limit, "gateway list not usable", "pgw.test");
        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, await server.StatusCodeOfAsync("-/ready"));
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        using (HttpResponseMessage early = await admin.GetAsync("api/v1/sd")) Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, early.StatusCode);
        dns.SetAddressesForNextStart(new() { ["pgw.test"] = [Ip(1)] });
        await dns.RestartAsync();
        await server.WaitUntilReadyAsync();
        await server.WaitForMembersAsync(gateways, Limit);
        Assert.Contains(gateways[0], await admin.GetStringAsync("api/v1/sd"), StringComparison.Ordinal);
        Assert.Equal("dns", (await server.StatusAsync()).GetProperty("discovery").GetProperty("source").GetString());
    }

    [Fact]
    public async Task With_AAAA_records_the_members_are_IPv6_addresses()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        await TestPeers.PushgatewayAsync(At("[::1]", port));
        dns.SetAddresses(new() { ["pgw.test"] = ["0:0:0:0:0:0:0:1", Ip(1)] });
        DynamicShardingProcess server = await StartAsync(dns, $"names: [pgw.test], type: AAAA, port: {port}");
        await server.WaitForMembersAsync([At("[::1]", port)], Limit);
        Assert.Equal(System.Net.HttpStatusCode.OK, await server.PushAsync("/metrics/job/six", "v 1\n"));
    }

    private Task<DynamicShardingProcess> StartAsync(
        DnsmasqProcess dns,
        string keys,
        string membership = "membership: { settle: 1s, admit_after: 1s, mass_loss_hold: 3s }",
        string more = "pushgateway: { health_check: { interval: 1s, timeout: 1s, failures_before_critical: 4 } }") =>
        TestPeers.DynamicShardingAsync($"discovery: dns\ndns: {{ {keys}, resolvers: [\"{dns.Address}\"] }}\n{membership}\n{more}\n");

    private static async Task<string> LastErrorAsync(DynamicShardingProcess server) =>
        (await server.StatusAsync()).GetProperty("discovery").GetProperty("last_error").GetString() ?? "";

    private async Task<string[]> GatewaysAsync(int port, int count)
    {
        for (int i = 1; i <= count; i++) await TestPeers.PushgatewayAsync(At(Ip(i), port));
        return [.. Enumerable.Range(1, count).Select(i => At(Ip(i), port))];
    }

    private static string Ip(int number) => string.Create(CultureInfo.InvariantCulture, $"127.0.2.{number}");

    private static string At(string host, int port) => string.Create(CultureInfo.InvariantCulture, $"{host}:{port}");
}
