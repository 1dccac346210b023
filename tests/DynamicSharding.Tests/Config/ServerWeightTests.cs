using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

public sealed class ServerWeightTests
{
    [Fact]
    public void Servers_with_weights_stand_beside_plain_ones()
    {
        PushgatewayOptions options = ConfigTestFile.Options("""
            pushgateway:
              port: 9099
              servers:
                - {address: A:9091, weight: 2}
                - b
                - address: "[::1]"
                  weight: 0
                - {address: c, weight: 1}
                - {address: d}
                - {address: e, weight: 100}
            """).Pushgateway;
        Assert.Equal(["a:9091", "b:9099", "[::1]:9099", "c:9099", "d:9099", "e:9099"], options.Servers.ToArray());
        Assert.Equal(["[::1]:9099=0", "a:9091=2", "c:9099=1", "e:9099=100"], options.ServerWeights.Select(static weight => $"{weight.Key}={weight.Value}"));
    }

    [Theory]
    [InlineData("[{address: a, weight: 101}]", "1:46: pushgateway.servers: a server has a bad weight; it must be a whole number from 0 to 100")]
    [InlineData("[{address: a, weight: -1}]", "1:46: pushgateway.servers: a server has a bad weight; it must be a whole number from 0 to 100")]
    [InlineData("[{address: a, weight: 1.5}]", "1:46: pushgateway.servers: a server has a bad weight; it must be a whole number from 0 to 100")]
    [InlineData("[{address: a, weight: '2'}]", "1:46: pushgateway.servers: a server has a bad weight; it must be a whole number from 0 to 100")]
    [InlineData("[{address: a, weight: [2]}]", "1:46: pushgateway.servers: a server has a bad weight; it must be a whole number from 0 to 100")]
    [InlineData("[{address: a, wieght: 2}]", "1:38: pushgateway.servers: a server has an address and a weight, and nothing else: {address: a:9091, weight: 2}; quote an IPv6 address: \"[::1]:9091\"")]
    [InlineData("[{a: 9091}]", "1:26: pushgateway.servers: a server has an address and a weight, and nothing else: {address: a:9091, weight: 2}; quote an IPv6 address: \"[::1]:9091\"")]
    [InlineData("[{weight: 2}]", "1:25: pushgateway.servers: a server has no address; write {address: a:9091, weight: 2}, or a:9091 alone")]
    [InlineData("[{address: , weight: 2}]", "1:25: pushgateway.servers: a server has no address; write {address: a:9091, weight: 2}, or a:9091 alone")]
    [InlineData("[{}]", "1:25: pushgateway.servers: a server has no address; write {address: a:9091, weight: 2}, or a:9091 alone")]
    [InlineData("[{address: a/b, weight: 2}]", "1:35: pushgateway.servers: must be a bare host or host:port; remove the path (the key pushgateway.path_prefix sets it)")]
    [InlineData("['a:9091=2']", "1:25: pushgateway.servers: in the file, a server with a weight is {address: a:9091, weight: 2}; a:9091=2 works only on the command line")]
    [InlineData("[a=2, b]", "1:25: pushgateway.servers: in the file, a server with a weight is {address: a:9091, weight: 2}; a:9091=2 works only on the command line")]
    [InlineData("[{address: 'a:9091=2'}]", "1:35: pushgateway.servers: in the file, a server with a weight is {address: a:9091, weight: 2}; a:9091=2 works only on the command line")]
    [InlineData("['a:9091=x']", "1:25: pushgateway.servers: has a bad port; it must be a number from 1 to 65535")]
    [InlineData("[{address: a, weight: 0}, {address: b, weight: 0}]", "1:24: pushgateway.servers: every server has weight 0, so that none gets a push; give one of them a weight of 1 or more")]
    [InlineData("[a:9091, {address: A, weight: 2}]", "1:33: pushgateway.servers: A is listed twice with different weights; remove one")]
    public void A_wrong_entry_says_where_and_what(string servers, string error) =>
        Assert.Equal(["test.yml:" + error], ConfigTestFile.Errors($"pushgateway: {{servers: {servers}}}"));

    [Fact]
    public void Everyone_at_0_is_an_error_with_Consul_too() => Assert.Single(
        ConfigTestFile.Errors("consul_server: {addr: 'localhost:8500'}\npushgateway: {servers: [{address: a, weight: 0}]}"));

    [Fact]
    public void The_bound_of_points_counts_weights()
    {
        const string File = "sharding: {replicas: 100000}\npushgateway: {servers: [{address: a, weight: 99}, ";
        Assert.Empty(ConfigTestFile.Errors(File + "b]}"));
        Assert.Equal(
            "test.yml:1:22: sharding.replicas: with 2 servers of weight 101 together the ring has more than 10000000 points; lower it, or list fewer servers",
            Assert.Single(ConfigTestFile.Errors(File + "{address: b, weight: 2}]}")));
    }

    [Fact]
    public void A_changed_weight_is_a_change_that_a_reload_applies()
    {
        ServerOptions running = ConfigTestFile.Options("pushgateway: {servers: [{address: a, weight: 2}, b]}");
        ServerOptions same = ConfigTestFile.Options("pushgateway: {servers: [{weight: 2, address: 'a:9091'}, b]}");
        ServerOptions loaded = ConfigTestFile.Options("pushgateway: {servers: [{address: a, weight: 3}, b]}");
        Assert.Empty(ConfigDiff.ReloadKeys(running, same));
        Assert.Equal("pushgateway.servers", Assert.Single(ConfigDiff.ReloadKeys(running, loaded)));
        Assert.Equal(3, ConfigDiff.Reload(running, loaded).Pushgateway.ServerWeights["a:9091"]);
        Assert.Equal("{address: a:9091, weight: 3}, b:9091", ConfigKeys.Find("pushgateway.servers")!.Show(loaded));
    }

    [Theory]
    [InlineData("sharding: {consul_weights: true}\npushgateway: {servers: [a, b]}", "1:28: sharding.consul_weights: has no effect without Consul; write weights into pushgateway.servers: {address: a:9091, weight: 2}")]
    [InlineData("pushgateway: {servers: [a, {address: b, weight: 0}]}", "1:24: pushgateway.servers: all pushes go to one server, and none takes over when it fails; list two or more")]
    [InlineData("pushgateway: {servers: [{address: a, weight: 2}, {address: a, weight: 2}, b]}", "1:50: pushgateway.servers: a:9091 is listed twice and counts once; remove one")]
    [InlineData("pushgateway: {servers: [{address: 0.0.0.0, weight: 2}, b]}", "1:35: pushgateway.servers: 0.0.0.0: is the address of no machine (unspecified, broadcast or multicast); write the gateway's own")]
    public void A_risky_entry_is_a_warning(string yaml, string warning) =>
        Assert.Equal(["test.yml:" + warning], ConfigTestFile.Warnings(ConfigTestFile.Parse(yaml)));
}
