using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Tests.Config;

public sealed class ConfigValidFilesTests
{
    /// <summary>The file of the Go original, as it is shipped there.</summary>
    private const string Original = """
        # The shape of the original's configuration file: every key it knows, with its value types.
        consul_server:
          addr: localhost:8500
          username:
          password:
          register_service_name: pushgateway
        http_listen_addr: :9292
        pushgateway:
          port: 9091
          servers:
            - 1.1.1.1
            - 1.1.1.2
        """;

    [Fact]
    public void The_originals_file_loads_unchanged()
    {
        ConfigResult result = ConfigTestFile.Parse(Original);

        Assert.Empty(result.Errors);
        Assert.Empty(ConfigTestFile.Warnings(result));
        ServerOptions options = result.Options!;
        Assert.Equal(DiscoveryKind.Consul, options.Discovery);
        Assert.Equal("localhost:8500", options.Consul.Addr);
        Assert.Null(options.Consul.Username);
        Assert.Null(options.Consul.Password);
        Assert.Equal("pushgateway", options.Consul.RegisterServiceName);
        Assert.Equal(new ListenAddress(null, 9292), options.HttpListenAddr);
        Assert.Equal(["1.1.1.1:9091", "1.1.1.2:9091"], options.Pushgateway.Servers.ToArray());
    }

    [Fact]
    public void The_example_names_every_key_at_its_default()
    {
        string path = ConfigTestFile.RepositoryFile("config/dynamic-sharding.yml");
        ConfigResult result = ConfigFile.Load(path, _ => null);
        Assert.Empty(result.Errors);
        // The one default that is a risk.
        Assert.StartsWith("admin_listen_addr: ", Assert.Single(result.Warnings).Message, StringComparison.Ordinal);

        ServerOptions expected = new() { Discovery = DiscoveryKind.Consul };
        Assert.Empty(ConfigDiff.RestartKeys(expected, result.Options!));
        Assert.Empty(ConfigDiff.ReloadKeys(expected, result.Options!));

        var problems = new ConfigProblems(path);
        var root = (YamlMapping)new YamlTreeReader(problems).Read(File.ReadAllText(path))!;
        foreach (ConfigKey key in ConfigKeys.All)
        {
            YamlNode? node = root;
            foreach (string name in key.Path.Split('.')) node = (node as YamlMapping)?.Find(name)?.Value;
            Assert.True(node is not null, key.Path + " is missing from the example");
        }
    }

    [Fact]
    public void The_local_file_serves_three_static_gateways()
    {
        ConfigResult result = ConfigFile.Load(ConfigTestFile.RepositoryFile("config/local.yml"), _ => null);

        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        Assert.Equal(DiscoveryKind.Static, result.Options!.Discovery);
        Assert.Equal(["127.0.0.1:9091", "127.0.0.2:9091", "127.0.0.3:9091"], result.Options.Pushgateway.Servers.ToArray());
        Assert.NotNull(result.Options.AdminListenAddr);
    }

    [Theory]
    [InlineData("consul_server: {}", DiscoveryKind.Consul)]
    [InlineData("consul_server:", DiscoveryKind.Static)]
    [InlineData("consul_server: {addr: 'a:1'}\ndiscovery: static", DiscoveryKind.Static)]
    [InlineData("discovery: consul", DiscoveryKind.Consul)]
    [InlineData("", DiscoveryKind.Static)]
    internal void Discovery_follows_the_consul_section(string yaml, DiscoveryKind expected) =>
        Assert.Equal(expected, ConfigTestFile.Options(yaml + "\npushgateway: {servers: [a]}").Discovery);

    [Theory]
    [InlineData("consul", "port: 1", HealthCheckType.Http)]
    [InlineData("consul", "basic_auth: {username: u, password_file: test.key}", HealthCheckType.Tcp)]
    [InlineData("consul", "scheme: https, tls: {ca_file: test.pem}", HealthCheckType.Tcp)]
    [InlineData("consul", "scheme: https, tls: {cert_file: test.pem, key_file: test.key}", HealthCheckType.Tcp)]
    [InlineData("consul", "scheme: https, tls: {ca_file: test.pem}, health_check: {type: http}", HealthCheckType.Http)]
    [InlineData("static", "basic_auth: {username: u, password_file: test.key}", HealthCheckType.Http)]
    [InlineData("static", "scheme: https, tls: {ca_file: test.pem}", HealthCheckType.Http)]
    internal void Consuls_checks_turn_to_tcp_when_the_gateways_want_more_than_they_can_carry(
        string discovery, string yaml, HealthCheckType expected)
    {
        using var folder = new PemFolder();
        string file = folder.Issue("test.pem", "test.key");
        string path = folder.Write("c.yml", $"discovery: {discovery}\npushgateway: {{servers: [a], {yaml}}}");

        ConfigResult result = ConfigFile.Load(path, _ => null);

        Assert.Empty(result.Errors);
        Assert.Equal(expected, result.Options!.Pushgateway.HealthCheck.Type);
        // Files are found beside the configuration, wherever the process runs.
        if (result.Options.Pushgateway.Tls.CaFile is { } authority) Assert.Equal(file, authority);
    }

    [Fact]
    public void Servers_get_the_default_port_once_each_in_the_files_order()
    {
        ConfigResult result = ConfigTestFile.Parse("""
            pushgateway:
              port: 9191
              servers: [b, "a:9091", "[fd::1]", "[fd::1]:7", B.example., b:9191, c_d, B]
            """);

        Assert.Equal(["b:9191", "a:9091", "[fd::1]:9191", "[fd::1]:7", "b.example:9191", "c_d:9191"], result.Options!.Pushgateway.Servers.ToArray());
        Assert.Equal(
            [
                "test.yml:3:62: pushgateway.servers: b:9191 is listed twice and counts once; remove one",
                "test.yml:3:75: pushgateway.servers: B is the same gateway as b, and counts once; remove one",
            ],
            ConfigTestFile.Warnings(result));
    }

    [Theory]
    [InlineData(":0", null, 0)]
    [InlineData("localhost:80", "127.0.0.1", 80)]
    [InlineData("0.0.0.0:80", "0.0.0.0", 80)]
    [InlineData("'[::1]:65535'", "::1", 65535)]
    public void Listen_addresses(string yaml, string? host, int port) =>
        Assert.Equal(
            new ListenAddress(host is null ? null : IPAddress.Parse(host), port),
            ConfigTestFile.Options($"http_listen_addr: {yaml}\npushgateway: {{servers: [a]}}").HttpListenAddr);

    [Fact]
    public void The_admin_listener_can_be_off_and_null_is_the_default()
    {
        Assert.Null(ConfigTestFile.Options("admin_listen_addr: \"\"\npushgateway: {servers: [a]}").AdminListenAddr);
        Assert.Equal(9293, ConfigTestFile.Options("admin_listen_addr: null\npushgateway: {servers: [a]}").AdminListenAddr!.Port);
    }

    [Theory]
    [InlineData("/", "")]
    [InlineData("/a/", "/a")]
    [InlineData("/a%20b/c", "/a%20b/c")]
    public void A_path_prefix_has_no_trailing_slash(string yaml, string expected)
    {
        Assert.Equal(expected, ConfigTestFile.Options($"pushgateway: {{servers: [a], path_prefix: '{yaml}'}}").Pushgateway.PathPrefix);
        Assert.Equal(expected, ConfigTestFile.Options($"http_path_prefix: '{yaml}'\npushgateway: {{servers: [a]}}").HttpPathPrefix);
    }

    [Theory]
    [InlineData("consul_server: {token: t, token_file: FILE}", "1:24: consul_server.token: is not used, since consul_server.token_file takes precedence; remove one")]
    [InlineData("pushgateway: {servers: [a, b], health_check: {interval: 1s}}", "1:57: pushgateway.health_check.timeout: is longer than pushgateway.health_check.interval, so that probes are late; make it shorter")]
    [InlineData("pushgateway: {servers: [a, b], health_check: {deregister_critical_after: 59s}}", "1:74: pushgateway.health_check.deregister_critical_after: Consul accepts nothing shorter than 1m and will wait 1m; write 1m or more")]
    [InlineData("pushgateway: {servers: [a, b], tls: {server_name: b}}", "1:37: pushgateway.tls: has no effect while pushgateway.scheme is http; set it to https")]
    [InlineData("S\nadmin: {basic_auth_users: {alice: HASH10}}", "2:27: admin.basic_auth_users: passwords are sent unencrypted; set admin.tls, or bind admin_listen_addr to 127.0.0.1")]
    [InlineData("S\nadmin_listen_addr: 127.0.0.1:1\nadmin: {basic_auth_users: {alice: HASH15}}", "3:35: admin.basic_auth_users: this hash takes seconds to check; make one of cost 10: htpasswd -nBC 10 ''")]
    public void Odd_combinations_are_warned_about(string yaml, string expected)
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, "t\n");
        ConfigResult result = ConfigTestFile.Parse(yaml
            .Replace("S\n", "pushgateway: {servers: [a, b]}\n", StringComparison.Ordinal)
            .Replace("FILE", file, StringComparison.Ordinal)
            .Replace("HASH10", "$2y$10$" + new string('a', 53), StringComparison.Ordinal)
            .Replace("HASH15", "$2y$15$" + new string('a', 53), StringComparison.Ordinal));
        File.Delete(file);

        Assert.Empty(result.Errors);
        Assert.Equal("test.yml:" + expected, Assert.Single(ConfigTestFile.Warnings(result)));
    }

    [Fact]
    public void A_byte_order_mark_is_no_part_of_the_first_key() =>
        Assert.Equal(5, ConfigTestFile.Options("\ufeffhttp_listen_addr: :5\npushgateway: {servers: [a]}").HttpListenAddr!.Port);
}
