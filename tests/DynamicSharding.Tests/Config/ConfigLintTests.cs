using System.Globalization;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>Values that are valid and risky are named with their place and what to write instead.</summary>
public sealed class ConfigLintTests
{
    /// <summary>Two gateways on other machines, and whatever is at its default.</summary>
    private const string Sound = "pushgateway: {servers: [10.0.0.1, 10.0.0.2]}\n";

    private const string Hash = "$2y$10$abcdefghijklmnopqrstuuJrwOjAKR3C5NGNqKO2xOIUoWcYC4KLO";

    private const string Users = "basic_auth_users: {alice: " + Hash + "}\n";

    [Theory]
    [InlineData("admin_listen_addr: :9293", "2:20: admin_listen_addr: whoever reaches this machine can read the configuration")]
    [InlineData("admin_listen_addr: 0.0.0.0:9293", "2:20: admin_listen_addr: whoever reaches this machine")]
    [InlineData("admin_listen_addr: '[::]:9293'", "2:20: admin_listen_addr: whoever reaches this machine")]
    [InlineData("admin: {enable_lifecycle: true}", ": admin_listen_addr: is :9293 by default, and whoever reaches this machine can reload and read the configuration")]
    [InlineData("admin: {allowed_hosts: any}", "2:24: admin.allowed_hosts: any web page that someone opens")]
    [InlineData("sharding: {replicas: 499}", "2:22: sharding.replicas: all instances must have the same number")]
    [InlineData("membership: {mass_loss_ratio: 1}", "2:31: membership.mass_loss_ratio: a fault that only this instance sees")]
    [InlineData("membership: {mass_loss_hold: 0}", "2:30: membership.mass_loss_hold: a loss of most gateways takes effect at once")]
    [InlineData("membership: {settle: 0s, admit_after: 0s}", "2:39: membership.admit_after: with settle and admit_after 0")]
    [InlineData("limits: {body_skip_bytes: 17MiB}", "2:27: limits.body_skip_bytes: request content of this size is read to its end")]
    [InlineData("limits: {body_min_rate: 0}", "2:25: limits.body_min_rate: a client may send content as slowly as it likes")]
    [InlineData("shutdown: {drain_delay: 0s}", "2:25: shutdown.drain_delay: a load balancer has no time to notice a stop")]
    [InlineData("shutdown: {timeout: 0s}", "2:21: shutdown.timeout: a stop resets the connections of requests in flight")]
    [InlineData("log: {level: debug}", "2:14: log.level: clients can cause any number of debug lines")]
    [InlineData("proxy_protocol: any\ntrusted_proxies: [10.0.0.1, 0.0.0.0/0]", "3:18: trusted_proxies: whoever reaches a data listener can claim to be any client")]
    [InlineData("proxy_protocol: v2\ntrusted_proxies: ['::/0']", "3:18: trusted_proxies: whoever reaches a data listener can claim to be any client")]
    [InlineData("proxy_protocol: v2\ntrusted_proxies: ['::/8']", "3:18: trusted_proxies: whoever reaches a data listener can claim to be any client")]
    [InlineData("proxy_protocol: v2\ntrusted_proxies: [128.0.0.0/1]", "3:18: trusted_proxies: whoever reaches a data listener can claim to be any client")]
    [InlineData(
        "consul_server: {tls: {insecure_skip_verify: true}}",
        "2:45: consul_server.tls.insecure_skip_verify: whoever answers at this address decides where pushes go")]
    public void A_risky_value_is_warned_about(string yaml, string expected) => AssertWarning(Sound + yaml, expected);

    [Theory]
    [InlineData("{servers: [a]}", "1:24: pushgateway.servers: all pushes go to one server")]
    [InlineData("{servers: [a, b], health_check: {enabled: false}}", "1:56: pushgateway.health_check.enabled: a dead gateway stays in the ring")]
    [InlineData(
        "{servers: [a, b], health_check: {failures_before_critical: 1}}",
        "1:73: pushgateway.health_check.failures_before_critical: one late response moves a gateway's groups")]
    [InlineData("{servers: [a, b], health_check: {interval: 31s}}", "1:57: pushgateway.health_check.interval: a dead gateway is noticed after more than a minute")]
    [InlineData("{servers: [a, b], health_check: {timeout: 6s}}", "1:56: pushgateway.health_check.timeout: is longer than pushgateway.health_check.interval")]
    [InlineData("{servers: [a, 127.0.0.1]}", "1:28: pushgateway.servers: 127.0.0.1: clients on other machines are redirected to themselves")]
    [InlineData("{servers: [a, 'localhost:9092']}", "1:28: pushgateway.servers: localhost:9092: clients on other machines")]
    [InlineData("{servers: [a.example, A.example., b]}", "1:36: pushgateway.servers: A.example. is the same gateway as a.example,")]
    [InlineData("{servers: [a.example, 'a.example.:9091', b]}", "1:36: pushgateway.servers: a.example.:9091 is the same gateway as a.example,")]
    [InlineData("{servers: ['[2001:db8::1]', '[2001:DB8:0::1]:9091', b]}", "1:42: pushgateway.servers: [2001:DB8:0::1]:9091 is the same gateway as [2001:db8::1],")]
    [InlineData("{servers: [10.0.0.1, '[::ffff:10.0.0.1]', b]}", "1:35: pushgateway.servers: [::ffff:10.0.0.1] is the same gateway as 10.0.0.1,")]
    public void A_risky_list_or_check_is_warned_about(string yaml, string expected) => AssertWarning("pushgateway: " + yaml, expected);

    /// <summary>Without a value, the section is not there; with an empty one, it is.</summary>
    [Theory]
    [InlineData("consul_server:\n", true)]
    [InlineData("consul_server: ~\n", true)]
    [InlineData("consul_server:\n#  addr: 10.0.0.9:8500\n", true)]
    [InlineData("consul_server: {}\n", false)]
    [InlineData("consul_server: {addr: 10.0.0.9:8500}\n", false)]
    [InlineData("consul_server:\ndiscovery: static\n", false)]
    [InlineData("consul_server:\ndiscovery: consul\n", false)]
    public void An_empty_Consul_section_is_warned_about(string yaml, bool warned) => Assert.Equal(
        warned,
        Warnings(Sound + yaml).Contains("test.yml:2:1: consul_server: is empty, so that Consul is not used; write consul_server: {} for Consul at its default address, or remove the line"));

    /// <summary>It would be what the errors are about.</summary>
    [Fact]
    public void An_empty_Consul_section_is_named_beside_errors() =>
        Assert.Contains(ConfigTestFile.Parse("consul_server:\n").Warnings, static warning => warning.ToString().StartsWith("test.yml:1:1: consul_server: is empty", StringComparison.Ordinal));

    [Fact]
    public void Spellings_of_this_machine_are_one_gateway() => Assert.Equal(
        ["test.yml:2:36: pushgateway.servers: 127.0.0.1 is the same gateway as localhost, and would have two shares of the ring; remove one"],
        Warnings("http_listen_addr: 127.0.0.1:9292\npushgateway: {servers: [localhost, 127.0.0.1, 127.0.0.2]}"));

    [Theory]
    [InlineData("127.0.0.2:9091', '127.0.0.2:09091", "127.0.0.2:09091 is the same gateway as 127.0.0.2:9091, and counts once; remove one")]
    [InlineData("pgw-0', 'PGW-0", "PGW-0 is the same gateway as pgw-0, and counts once; remove one")]
    [InlineData("PGW-0', 'pgw-0", "pgw-0 is the same gateway as PGW-0, and counts once; remove one")]
    [InlineData("[::1]', '[0:0:0:0:0:0:0:1]", "[0:0:0:0:0:0:0:1] is the same gateway as [::1], and counts once; remove one")]
    public void A_second_spelling_counts_once_and_is_warned_about(string servers, string expected)
    {
        string yaml = $"http_listen_addr: 127.0.0.1:9292\npushgateway: {{servers: ['{servers}', c]}}";
        Assert.Equal("pushgateway.servers: " + expected, Assert.Single(Warnings(yaml)).Split(": ", 2)[1]);
        Assert.Equal(2, ConfigTestFile.Options(yaml).Pushgateway.Servers.Length);
    }

    [Theory]
    [InlineData("127.0.0.2:9091', '127.0.0.2:09091")]
    [InlineData("pgw-0', 'PGW-0")]
    [InlineData("[::1]', '[0:0:0:0:0:0:0:1]")]
    public void Beside_the_original_every_spelling_is_a_gateway_and_is_warned_about(string servers)
    {
        string yaml = $"http_listen_addr: 127.0.0.1:9292\nsharding: {{key: path}}\npushgateway: {{servers: ['{servers}', c]}}";
        Assert.EndsWith(", and would have two shares of the ring; remove one", Assert.Single(Warnings(yaml)), StringComparison.Ordinal);
        Assert.Equal(3, ConfigTestFile.Options(yaml).Pushgateway.Servers.Length);
    }

    [Theory]
    [InlineData("0.0.0.0", "0.0.0.0: is the address of no machine")]
    [InlineData("'[::]:9092'", "[::]:9092: is the address of no machine")]
    [InlineData("'[::ffff:0.0.0.0]'", "[::ffff:0.0.0.0]: is the address of no machine")]
    [InlineData("255.255.255.255", "255.255.255.255: is the address of no machine")]
    [InlineData("127.255.255.255", "127.255.255.255: is the address of no machine")]
    [InlineData("224.0.0.1", "224.0.0.1: is the address of no machine")]
    [InlineData("'[ff02::1]'", "[ff02::1]: is the address of no machine")]
    [InlineData("127.0.0.1:9292", "127.0.0.1:9292: is http_listen_addr of this program itself")]
    [InlineData("'[::ffff:127.0.0.1]:09292'", "[::ffff:127.0.0.1]:09292: is http_listen_addr of this program itself")]
    [InlineData("LOCALHOST.:9292", "LOCALHOST.:9292: is http_listen_addr of this program itself")]
    [InlineData("127.0.0.9:9294", "127.0.0.9:9294: is forward_listen_addr of this program itself")]
    [InlineData("MACHINE:9294", "MACHINE:9294: is forward_listen_addr of this program itself")]
    [InlineData("'[::1]:9294'", "[::1]:9294: is forward_listen_addr of this program itself")]
    [InlineData("127.0.0.1:9293", "127.0.0.1:9293: is admin_listen_addr of this program itself")]
    public void A_server_that_no_push_should_go_to_is_warned_about(string server, string expected)
    {
        string name = Environment.MachineName;
        AssertWarning(
            $"http_listen_addr: 127.0.0.1:9292\nadmin_listen_addr: localhost:9293\nforward_listen_addr: :9294\npushgateway: {{servers: [a, {server.Replace("MACHINE", name)}]}}",
            "4:28: pushgateway.servers: " + expected.Replace("MACHINE", name));
    }

    [Theory]
    [InlineData("127.0.0.2:9292")]
    [InlineData("127.0.0.1:9091")]
    [InlineData("10.0.0.1:9294")]
    [InlineData("other.example:9294")]
    [InlineData("'[::1]:9293'")]
    public void Other_addresses_with_a_listeners_port_are_not(string server) => Assert.Empty(Warnings(
        $"http_listen_addr: 127.0.0.1:9292\nadmin_listen_addr: localhost:9293\nforward_listen_addr: 0.0.0.0:9294\npushgateway: {{servers: [a, {server}]}}"));

    [Fact]
    public void A_password_on_a_plain_connection_is_warned_about()
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, "p\n");
        string[] warnings = Warnings($"pushgateway: {{servers: [a, b], basic_auth: {{username: u, password_file: {file}}}}}");
        File.Delete(file);
        Assert.StartsWith("test.yml:1:55: pushgateway.basic_auth.username: the password is sent unencrypted", Assert.Single(warnings), StringComparison.Ordinal);
    }

    /// <summary>Prometheus sends it, too.</summary>
    [Theory]
    [InlineData("")]
    [InlineData(" \t\r\n")]
    public void A_password_file_without_a_password_is_warned_about(string content)
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, content);
        string[] warnings =
        [
            .. Warnings($"pushgateway: {{servers: [a, b], scheme: https, basic_auth: {{username: u, password_file: {file}}}}}"),
            .. Warnings($"discovery: http_sd\nhttp_sd: {{url: 'https://sd', basic_auth: {{username: u, password_file: {file}}}}}"),
        ];
        File.Delete(file);
        Assert.Equal(
            [
                $"test.yml:1:88: pushgateway.basic_auth.password_file: {file} is empty: a start sends an empty password; write the password into it",
                $"test.yml:2:71: http_sd.basic_auth.password_file: {file} is empty: a start sends an empty password; write the password into it",
            ],
            warnings);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    public void A_token_file_without_a_token_is_warned_about(string content)
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, content);
        string why = $"{file} is empty: a start sends no token; write the token into it";
        string[] named = Warnings($"consul_server: {{token_file: {file}}}"), ofEnvironment = Warnings("consul_server: {}", ("CONSUL_HTTP_TOKEN_FILE", file));
        string[] outranked = Warnings("consul_server: {token: t}", ("CONSUL_HTTP_TOKEN_FILE", file));
        File.WriteAllText(file, "t\n");
        string[] good = Warnings($"consul_server: {{token_file: {file}}}");
        File.Delete(file);
        Assert.Equal(["test.yml:1:29: consul_server.token_file: " + why], named);
        Assert.Equal(["environment: CONSUL_HTTP_TOKEN_FILE: " + why], ofEnvironment);
        Assert.Empty(outranked);
        Assert.Empty(good);
    }

    [Theory]
    [InlineData("forward_listen_addr: :9294", "2:22: forward_listen_addr: ")]
    [InlineData("forward_listen_addr: 127.0.0.1:9294", "2:22: forward_listen_addr: ")]
    public void A_forward_listener_that_lends_its_credentials_to_everybody_is_warned_about(string listener, string place)
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, "p\n");
        string gateways = $"pushgateway: {{servers: [a, b], scheme: https, basic_auth: {{username: u, password_file: {file}}}}}\n{listener}\n";
        string[] warnings = Warnings(gateways);
        string[] withUsers = Warnings(gateways + "http_listen_addr: 127.0.0.1:9292\n" + Users);
        File.Delete(file);
        Assert.Equal(
            $"test.yml:{place}whoever reaches this listener pushes with the credentials of pushgateway.basic_auth; set basic_auth_users", Assert.Single(warnings));
        Assert.DoesNotContain(withUsers, warning => warning.Contains("lends", StringComparison.Ordinal) || warning.Contains("whoever", StringComparison.Ordinal));
    }

    /// <summary>Without a plain forward listener, tls.client_ca_file lets nobody in who has no certificate.</summary>
    [Theory]
    [InlineData("basic_auth", "forward_listen_addr: :9294", "", ": forward_listen_addr: whoever reaches this listener pushes with the credentials of pushgateway.basic_auth; set basic_auth_users")]
    [InlineData("basic_auth", "forward_https_listen_addr: :9295", "", ": forward_https_listen_addr: whoever reaches this listener pushes with the credentials of pushgateway.basic_auth; set basic_auth_users, or tls.client_ca_file")]
    [InlineData("tls", "forward_listen_addr: :9294", "", ": forward_listen_addr: whoever reaches this listener pushes with the certificate of pushgateway.tls; set basic_auth_users")]
    [InlineData("tls", "forward_https_listen_addr: :9295", "", ": forward_https_listen_addr: whoever reaches this listener pushes with the certificate of pushgateway.tls; set basic_auth_users, or tls.client_ca_file")]
    [InlineData("basic_auth tls", "forward_https_listen_addr: :9295", "", "pushes with the credentials of pushgateway.basic_auth and the certificate of pushgateway.tls; set")]
    [InlineData("tls", "forward_listen_addr: :9294\nforward_https_listen_addr: :9295", "ca", ": forward_listen_addr: whoever reaches this listener pushes with the certificate of pushgateway.tls; set basic_auth_users")]
    [InlineData("tls", "forward_https_listen_addr: :9295", "ca", null)]
    [InlineData("basic_auth tls", "forward_https_listen_addr: :9295", "ca", null)]
    [InlineData("tls", "forward_https_listen_addr: :9295\nhttp_listen_addr: 127.0.0.1:9292", "users", null)]
    [InlineData("tls", "https_listen_addr: :9293", "", null)]
    public void A_forward_listener_that_lends_what_its_clients_have_not_shown_is_warned_about(string lends, string listeners, string asks, string? expected)
    {
        using var folder = new PemFolder();
        string certificate = folder.Issue("edge.pem", "edge.key"), key = Path.Combine(folder.Path, "edge.key");
        string own = (lends.Contains("basic_auth", StringComparison.Ordinal) ? $", basic_auth: {{username: u, password_file: {folder.Write("password", "p")}}}" : "")
            + (lends.Contains("tls", StringComparison.Ordinal) ? $", tls: {{cert_file: {certificate}, key_file: {key}}}" : "");
        string ca = asks == "ca" ? $", client_ca_file: {certificate}" : "";
        string tls = listeners.Contains("https_listen_addr", StringComparison.Ordinal) ? $"tls: {{cert_file: {certificate}, key_file: {key}{ca}}}\n" : "";

        string[] warnings = Warnings($"admin_listen_addr: 127.0.0.1:9999\npushgateway: {{servers: [a, b], scheme: https{own}}}\n{listeners}\n{tls}{(asks == "users" ? Users : "")}");

        if (expected is null) Assert.DoesNotContain(warnings, warning => warning.Contains("whoever", StringComparison.Ordinal));
        else Assert.Contains(expected, Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("http_listen_addr: 127.0.0.1:9292\n", false)]
    [InlineData("http_listen_addr: 127.0.0.1:9292\nforward_listen_addr: '[::1]:9294'\n", false)]
    [InlineData("http_listen_addr: 127.0.0.1:9292\nforward_listen_addr: :9294\n", true)]
    public void Users_whose_passwords_travel_unencrypted_are_warned_about(string listeners, bool warns)
    {
        string[] warnings = Warnings(Sound + listeners + Users);
        if (!warns) Assert.Empty(warnings);
        else Assert.Contains(": basic_auth_users: passwords are sent unencrypted; set https_listen_addr or forward_https_listen_addr", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void A_slow_hash_is_warned_about_where_it_stands() => AssertWarning(
        Sound + "http_listen_addr: 127.0.0.1:9292\nbasic_auth_users:\n  alice: " + Hash.Replace("$10$", "$15$", StringComparison.Ordinal),
        "4:10: basic_auth_users: this hash takes seconds to check;");

    [Fact]
    public void More_connections_than_descriptors_are_warned_about()
    {
        int descriptors = OpenFileLimit.Current;
        int left = descriptors - DescriptorBudget.Reserve(descriptors);
        string more = (left + 1).ToString(CultureInfo.InvariantCulture);
        AssertWarning(Sound + $"limits: {{max_connections: {more}}}", $"2:27: limits.max_connections: {more} is more than the {left} connections that a limit of {descriptors} file descriptors allows;");
        Assert.Empty(Warnings(Sound + $"limits: {{max_connections: {left}}}"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("admin_listen_addr: 127.0.0.1:9293")]
    [InlineData("admin_listen_addr: \"\"")]
    [InlineData("membership: {settle: 0s}")]
    [InlineData("membership: {admit_after: 0s}")]
    [InlineData("limits: {body_skip_bytes: 16MiB}")]
    [InlineData("sharding: {replicas: 500}")]
    public void What_is_sound_is_not_warned_about(string yaml) => Assert.Empty(Warnings(Sound + yaml));

    [Fact]
    public void With_Consul_one_server_may_be_one_of_many() =>
        Assert.Empty(Warnings("consul_server: {addr: 'localhost:8500'}\npushgateway: {servers: [10.0.0.1]}"));

    /// <summary>check-config prints these, and a start logs them.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData("admin_listen_addr:", true)]
    [InlineData("admin: {allowed_hosts: [a.example]}", true)]
    [InlineData("admin: {basic_auth_users: {a: $2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy}}", false)]
    [InlineData("admin_listen_addr: 127.0.0.1:9293", false)]
    [InlineData("admin_listen_addr: \"\"", false)]
    public void The_open_default_is_warned_about_also_where_the_file_does_not_name_it(string yaml, bool expected) =>
        Assert.Equal(expected, ConfigTestFile.Parse(Sound + yaml).Warnings.Any(warning => warning.ToString() == ConfigTestFile.OpenDefault));

    private static void AssertWarning(string yaml, string expected)
    {
        string warning = Assert.Single(Warnings(yaml));
        Assert.StartsWith("test.yml" + (expected[0] == ':' ? "" : ":") + expected, warning, StringComparison.Ordinal);
        // What to do follows the semicolon.
        Assert.Matches("; [a-z]", warning);
    }

    private static string[] Warnings(string yaml, params (string Name, string Value)[] environment)
    {
        ConfigResult result = ConfigTestFile.Parse(yaml, environment);
        Assert.Empty(result.Errors);
        return ConfigTestFile.Warnings(result);
    }
}
