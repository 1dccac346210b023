using DynamicSharding.Config;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Tests.Config;

/// <summary>Every key of the documented table: its default, another value, and whether a reload applies it.</summary>
public sealed class ConfigKeysTests : IDisposable
{
    private const string Hash = "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

    private readonly string _file = Path.GetTempFileName();

    /// <summary>Key, its default as the documentation writes it, another value, reloadable. FILE stands for a file that exists.</summary>
    public static TheoryData<string, string, string, bool> Keys => new()
    {
        { "http_listen_addr", ":9292", "127.0.0.1:1", false },
        { "https_listen_addr", "\"\"", ":9443", false },
        { "admin_listen_addr", ":9293", "\"\"", false },
        { "forward_listen_addr", "\"\"", ":9294", false },
        { "forward_https_listen_addr", "\"\"", ":9444", false },
        { "http_path_prefix", "\"\"", "/pushgateway", false },
        { "proxy_protocol", "off", "any", false },
        { "trusted_proxies", "[]", "[10.0.0.5, 'fd00::/8']", false },
        { "basic_auth_users", "{}", "{alice: " + Hash + "}", true },
        { "tls.cert_file", "", "FILE", false },
        { "tls.key_file", "", "FILE", false },
        { "tls.client_ca_file", "", "FILE", false },
        { "tls.min_version", "TLS12", "TLS13", false },
        { "reuse_port", "false", "true", false },
        { "discovery", "static", "consul", false },
        { "consul_server.addr", "localhost:8500", "unix:///run/consul.sock", false },
        { "consul_server.username", "", "me", false },
        { "consul_server.password", "", "secret", false },
        { "consul_server.token", "", "t0ken", true },
        { "consul_server.token_file", "", "FILE", true },
        { "consul_server.datacenter", "", "dc2", false },
        { "consul_server.consistency", "stale", "consistent", false },
        { "consul_server.tls.ca_file", "", "FILE", false },
        { "consul_server.tls.cert_file", "", "FILE", false },
        { "consul_server.tls.key_file", "", "FILE", false },
        { "consul_server.tls.server_name", "", "server.dc1.consul", false },
        { "consul_server.tls.insecure_skip_verify", "false", "true", false },
        { "consul_server.register_service_name", "pushgateway", "pgw", false },
        { "dns.names", "[]", "[_push._tcp.pgw.example, b.]", false },
        { "dns.type", "SRV", "AAAA", false },
        { "dns.port", "", "9191", false },
        { "dns.refresh_interval", "", "10s", false },
        { "dns.resolvers", "[]", "[10.0.0.1, '[::1]:5353']", false },
        { "file_sd.files", "[]", "['/etc/targets/*.json', /etc/more.yml]", false },
        { "http_sd.url", "", "https://sd.example/targets", false },
        { "http_sd.refresh_interval", "1m", "30s", false },
        { "http_sd.basic_auth.username", "", "me", false },
        { "http_sd.basic_auth.password_file", "", "FILE", false },
        { "http_sd.tls.ca_file", "", "FILE", false },
        { "http_sd.tls.cert_file", "", "FILE", false },
        { "http_sd.tls.key_file", "", "FILE", false },
        { "http_sd.tls.server_name", "", "sd.example", false },
        { "pushgateway.servers", "[]", "[a, 'b:1']", true },
        { "pushgateway.port", "9091", "9191", true },
        { "pushgateway.scheme", "http", "https", false },
        { "pushgateway.path_prefix", "\"\"", "/push/gateway/", false },
        { "pushgateway.basic_auth.username", "", "me", false },
        { "pushgateway.basic_auth.password_file", "", "FILE", false },
        { "pushgateway.tls.ca_file", "", "FILE", false },
        { "pushgateway.tls.cert_file", "", "FILE", false },
        { "pushgateway.tls.key_file", "", "FILE", false },
        { "pushgateway.tls.server_name", "", "gateways.example", false },
        { "pushgateway.health_check.enabled", "true", "false", true },
        { "pushgateway.health_check.path", "/-/healthy", "/ready?x=1", true },
        { "pushgateway.health_check.interval", "5s", "1m30s", true },
        { "pushgateway.health_check.timeout", "2s", "500ms", true },
        { "pushgateway.health_check.failures_before_critical", "2", "3", true },
        { "pushgateway.health_check.success_before_passing", "1", "2", true },
        { "pushgateway.health_check.overload_is_healthy", "true", "false", true },
        { "pushgateway.health_check.type", "http", "tcp", true },
        { "pushgateway.health_check.deregister_critical_after", "", "1h", true },
        { "sharding.key", "group", "path", false },
        { "sharding.replicas", "500", "100", false },
        { "sharding.consul_weights", "false", "true", false },
        { "sharding.weight_label", "", "__weight__", false },
        { "membership.allow", "any", "[10.0.0.0/8, '*.pgw.internal']", true },
        { "membership.settle", "1s", "0s", true },
        { "membership.admit_after", "5s", "0", true },
        { "membership.mass_loss_ratio", "0.5", "1", true },
        { "membership.mass_loss_hold", "15s", "1d", true },
        { "cleanup.enabled", "false", "true", true },
        { "cleanup.dry_run", "false", "true", true },
        { "cleanup.interval", "5m", "1m", true },
        { "cleanup.settle", "2m", "30s", true },
        { "cleanup.margin", "5s", "0s", true },
        { "cleanup.exclude", "[]", "['job=~\"manual_.*\"', 'job=\"a\", instance!=\"it''s\"']", true },
        { "cleanup.expire", "[]", "[{match: ['job=\"nightly\"', '{job=\"b\"}'], after: 36h}]", true },
        { "limits.max_connections", "", "1000", true },
        { "limits.request_line", "8192", "16KiB", true },
        { "limits.header_fields", "100", "50", true },
        { "limits.header_bytes", "32KiB", "1MiB", true },
        { "limits.header_timeout", "10s", "1s", true },
        { "limits.idle_timeout", "75s", "1m", true },
        { "limits.body_skip_bytes", "1MiB", "0", true },
        { "limits.body_min_rate", "240", "1KiB", true },
        { "limits.linger_timeout", "5s", "0s", true },
        { "limits.write_timeout", "10s", "1w", true },
        { "shutdown.drain_delay", "5s", "0s", true },
        { "shutdown.timeout", "10s", "1s", true },
        { "forward.timeout", "30s", "5s", true },
        { "forward.max_in_flight", "256", "1", true },
        { "forward.max_body_bytes", "64MiB", "1GiB", true },
        { "forward.x_forwarded_for", "false", "true", true },
        { "admin.basic_auth_users", "{}", "{alice: " + Hash + "}", false },
        { "admin.tls.cert_file", "", "FILE", false },
        { "admin.tls.key_file", "", "FILE", false },
        { "admin.enable_lifecycle", "false", "true", true },
        { "admin.allowed_hosts", "[]", "[status.example.com, '*.pgw.internal']", true },
        { "log.level", "info", "debug", true },
        { "log.rejected_sample", "1", "0", true },
        { "log.format", "logfmt", "json", false },
    };

    public void Dispose() => File.Delete(_file);

    [Theory]
    [MemberData(nameof(Keys))]
    public void A_key_has_its_documented_default_and_takes_another_value(string path, string defaultText, string other, bool reloadable)
    {
        ConfigKey key = ConfigKeys.Find(path)!;
        Assert.NotNull(key);
        Assert.Equal(reloadable, key.Reloadable);

        ServerOptions defaults = new();
        ServerOptions atDefault = Read(path, defaultText);
        Assert.True(key.SameIn(defaults, atDefault), path + " has another default");
        Assert.Empty(ConfigDiff.RestartKeys(defaults, atDefault).ToArray());
        Assert.Empty(ConfigDiff.ReloadKeys(defaults, atDefault).ToArray());

        ServerOptions changed = Read(path, other);
        Assert.False(key.SameIn(defaults, changed), path + " did not take " + other);
        Assert.True(key.SameIn(changed, key.Copy(changed, defaults)));
        Assert.Equal(reloadable ? [] : [path], ConfigDiff.RestartKeys(defaults, changed).ToArray());
        Assert.Equal(reloadable ? [path] : [], ConfigDiff.ReloadKeys(defaults, changed).ToArray());
    }

    [Theory]
    [MemberData(nameof(Keys))]
    public void What_an_operator_is_shown_is_what_the_file_could_say_and_no_secret(string path, string atDefault, string other, bool reloadable)
    {
        _ = atDefault + reloadable;
        ConfigKey key = ConfigKeys.Find(path)!;
        ServerOptions changed = Read(path, other);
        string shown = key.Show(changed);
        if (path is "consul_server.password" or "consul_server.token" or "admin.basic_auth_users" or "basic_auth_users")
        {
            Assert.Contains("(hidden)", shown, StringComparison.Ordinal);
            Assert.DoesNotContain(other, shown, StringComparison.Ordinal);
            Assert.DoesNotContain(Hash, shown, StringComparison.Ordinal);
            return;
        }

        Assert.DoesNotContain("(hidden)", shown, StringComparison.Ordinal);
        Assert.True(key.SameIn(changed, Read(path, path == "pushgateway.servers" ? $"[{shown}]" : shown)), shown);
    }

    [Fact]
    public void The_table_above_is_complete() =>
        Assert.Equal(ConfigKeys.All.Select(key => key.Path).Order(), Keys.Select(row => (string)((object[])row)[0]).Order());

    [Fact]
    public void A_reload_takes_the_reloadable_keys_only()
    {
        ServerOptions running = ConfigTestFile.Options("http_listen_addr: :1\npushgateway: {servers: [a]}\nlog: {level: info}");
        ServerOptions loaded = ConfigTestFile.Options("http_listen_addr: :2\npushgateway: {servers: [a, b], port: 5}\nlog: {level: debug, format: json}");

        ServerOptions reloaded = ConfigDiff.Reload(running, loaded);

        Assert.Equal(1, reloaded.HttpListenAddr!.Port);
        Assert.Equal(["a:5", "b:5"], reloaded.Pushgateway.Servers.ToArray());
        Assert.Equal(new LogOptions { Level = LogLevelName.Debug, Format = LogFormat.Logfmt }, reloaded.Log);
        Assert.Equal(["http_listen_addr", "log.format"], ConfigDiff.RestartKeys(running, loaded).ToArray());
        Assert.Equal(["pushgateway.servers", "pushgateway.port", "log.level"], ConfigDiff.ReloadKeys(running, loaded).ToArray());
    }

    [Fact]
    public void A_reload_from_static_to_consul_keeps_the_servers_until_the_restart()
    {
        ServerOptions running = ConfigTestFile.Options("pushgateway: {servers: [a]}");
        ServerOptions loaded = ConfigTestFile.Options("consul_server: {}");

        Assert.Equal(["discovery"], ConfigDiff.RestartKeys(running, loaded).ToArray());
        Assert.Equal(["a:9091"], ConfigDiff.Reload(running, loaded).Pushgateway.Servers.ToArray());
    }

    /// <summary>The key's own reading, without the rules across keys: half a key pair is a value, too.</summary>
    private ServerOptions Read(string path, string text)
    {
        var problems = new ConfigProblems("test.yml");
        string yaml = ConfigTestFile.WithKey(path, text.Replace("FILE", _file, StringComparison.Ordinal));
        var root = (YamlMapping)new YamlTreeReader(problems).Read(yaml)!;
        ServerOptions options = new ConfigReader("/", problems).Read(new ConfigDocument(root, problems));
        Assert.Equal("", string.Join('\n', problems.Errors));
        return path == "pushgateway.servers" ? options : options with { Pushgateway = options.Pushgateway with { Servers = [] } };
    }
}
