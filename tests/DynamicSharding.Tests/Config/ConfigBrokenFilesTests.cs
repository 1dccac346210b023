using System.Diagnostics;
using System.Globalization;
using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>Broken files and the exact words an operator reads: the place, the key, what is wrong, what to do.</summary>
public sealed class ConfigBrokenFilesTests
{
    private const string Quoting = "check the indentation, and quote a value that begins with or contains one of [ ] { } : # & * ! %";

    /// <summary>The lines of the file, then the only error, without the file's name. S is replaced by a valid list of servers.</summary>
    public static TheoryData<string, string> Files => new()
    {
        // Keys.
        { "S\npushgatway: {}", "2:1: 'pushgatway' is not a known key; did you mean pushgateway?" },
        { "http-listen-addr: :1\nS", "1:1: 'http-listen-addr' is not a known key; did you mean http_listen_addr?" },
        { "pushgateway: {servers: [a], basic_auth: {password: x}}", "1:42: 'pushgateway.basic_auth.password' is not a known key; did you mean pushgateway.basic_auth.password_file?" },
        { "http_sd: {basic_auth: {password: x}}\nS", "1:24: 'http_sd.basic_auth.password' is not a known key; did you mean http_sd.basic_auth.password_file?" },
        { "pushgateway:\n  servers: [a]\n  prot: 1", "3:3: 'pushgateway.prot' is not a known key; did you mean pushgateway.port?" },
        { "pushgateway:\n  servers: [a]\n  interval: 1s", "3:3: 'pushgateway.interval' is not a known key; did you mean pushgateway.health_check.interval or cleanup.interval?" },
        { "S\ncleanup: {expire: [{match: ['job=\"a\"'], after: 36h}]}", "2:19: cleanup.expire: needs cleanup.enabled, without which nothing expires; write cleanup.enabled: true, or remove the rules" },
        { "S\nsharding: {key: path}\ncleanup: {enabled: true}", "3:20: cleanup.enabled: cannot be true with sharding.key: path, where a group's owner depends on how its client spells it; turn it off, or write sharding.key: group" },
        { "S\ncleanup: {exclude: ['job=x']}", "2:21: cleanup.exclude: the value must be in quotes (at character 5)" },
        { "S\ncleanup: {exclude: ['job=~\"(\"']}", "2:21: cleanup.exclude: is not a regular expression: insufficient closing parentheses (at character 6)" },
        { "S\ncleanup: {enabled: true, expire: [{match: ['job=\"a\"'], after: 1s}]}", "2:63: cleanup.expire: after must be a duration from 1m to 730d, such as 36h" },
        { "S\ncleanup: {enabled: true, expire: [{match: ['nolabel=\"\"'], after: 36h}]}", "2:43: cleanup.expire: 'nolabel=\"\"' also selects every group without that label; add a label that a group must have, such as job=~\".+\"" },
        { "S\ncleanup: {enabled: true, expire: [{after: 1h}]}", "2:35: cleanup.expire: a rule needs match, which groups it is for: {match: ['job=\"nightly\"'], after: 36h}" },
        { "S\nshutdown:\n  colour: red", "3:3: shutdown: this is not a known key; known here: drain_delay, timeout" },
        { "S\nlog.level: info", "2:1: 'log.level' is not a known key; nest the names, one per line and indented, instead of joining them with dots" },
        { "S\nreuse_port: true\nreuse_port: false", "3:1: 'reuse_port' is given twice, first on line 2; remove one of them" },
        { "S\n? [a, b]\n: 1", "2:3: a key must be plain text, not a list or a mapping" },

        // Shapes.
        { "S\nlog: debug", "2:6: log: must be a mapping with the keys level, rejected_sample, format" },
        { "S\nlog: [level]", "2:6: log: must be a mapping with the keys level, rejected_sample, format" },
        { "S\nreuse_port: [true]", "2:13: reuse_port: must be one value, not a list" },
        { "S\nhttp_listen_addr: {port: 1}", "2:19: http_listen_addr: must be one value, not a mapping" },
        { "pushgateway: {servers: a}", "1:24: pushgateway.servers: must be a list; put each server on a line of its own that begins with '- '" },
        { "pushgateway:\n  servers:\n    - a\n    -\n", "4:6: pushgateway.servers: a server is empty; write host or host:port, or remove the line" },
        { "pushgateway:\n  servers:\n    - [a]\n", "3:7: pushgateway.servers: each server must be a string, host or host:port; an IPv6 address needs quotes: \"[::1]:9091\"" },
        { "- a\n- b", "1:1: must be a mapping of keys to values, such as 'http_listen_addr: :9292'" },
        { "hello", "1:1: must be a mapping of keys to values, such as 'http_listen_addr: :9292'" },

        // Scalars.
        { "S\nreuse_port: yes", "2:13: reuse_port: must be true or false" },
        { "S\nreuse_port: 'true'", "2:13: reuse_port: must not be in quotes" },
        { "S\nsharding:\n  replicas: many", "3:13: sharding.replicas: must be a whole number from 1 to 100000" },
        { "S\nsharding: {replicas: 0}", "2:22: sharding.replicas: must be a whole number from 1 to 100000" },
        { "S\nsharding: {replicas: 1e3}", "2:22: sharding.replicas: must be a whole number from 1 to 100000" },
        { "S\nsharding: {key: label}", "2:17: sharding.key: must be one of group, path" },
        { "S\nmembership: {settle: 5}", "2:22: membership.settle: must be a duration such as 500ms, 5s or 1m30s" },
        { "S\nmembership: {settle: 99999999999y}", "2:22: membership.settle: must be from 0s to 30d" },
        { "S\nmembership: {settle: -1s}", "2:22: membership.settle: must be a duration such as 500ms, 5s or 1m30s" },
        { "S\nlimits: {header_timeout: 0s}", "2:26: limits.header_timeout: must be from 1ms to 30d" },
        { "S\nlimits: {idle_timeout: 1y}", "2:24: limits.idle_timeout: must be from 1ms to 30d" },
        { "S\nlimits: {header_bytes: 32KB}", "2:24: limits.header_bytes: must be a size from 512 to 16MiB, in bytes or with KiB, MiB or GiB" },
        { "S\nlimits: {request_line: 255}", "2:24: limits.request_line: must be a size from 256 to 1MiB, in bytes or with KiB, MiB or GiB" },
        { "S\nmembership: {mass_loss_ratio: 1.5}", "2:31: membership.mass_loss_ratio: must be a number above 0 and at most 1, such as 0.5" },
        { "S\nmembership: {mass_loss_ratio: 0}", "2:31: membership.mass_loss_ratio: must be a number above 0 and at most 1, such as 0.5" },
        { "S\nlog: {level: loud}", "2:14: log.level: must be one of debug, info, warn, error" },

        // Addresses.
        { "S\nhttp_listen_addr: 9292", "2:19: http_listen_addr: must be ':port' or 'host:port'" },
        { "S\nhttp_listen_addr: :92929", "2:19: http_listen_addr: must end with a port from 0 to 65535" },
        { "S\nhttp_listen_addr: \"\"", "2:19: http_listen_addr: must not be empty when there is no other listener for pushes; write ':9292', or set https_listen_addr" },
        { "S\nhttp_listen_addr: edge.example:1", "2:19: http_listen_addr: must begin with an IP address or 'localhost', an IPv6 address in brackets, or nothing for all addresses" },
        { "S\nadmin_listen_addr: 127.0.0.1:9292", "2:20: admin_listen_addr: 127.0.0.1:9292 is taken by http_listen_addr (:9292); give each listener a port of its own" },
        { "S\nhttp_listen_addr: :9293", "2:19: admin_listen_addr: :9293 is taken by http_listen_addr (:9293); give each listener a port of its own" },
        { "pushgateway: {servers: ['http://a:1']}", "1:25: pushgateway.servers: must be a bare host or host:port; remove the scheme (the key pushgateway.scheme sets it)" },
        { "pushgateway: {servers: [a/b]}", "1:25: pushgateway.servers: must be a bare host or host:port; remove the path (the key pushgateway.path_prefix sets it)" },
        { "pushgateway: {servers: [u@b]}", "1:25: pushgateway.servers: must be a bare host or host:port; remove the user and password before '@'" },
        { "pushgateway: {servers: [a b]}", "1:25: pushgateway.servers: contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'" },
        { "pushgateway: {servers: [<b>]}", "1:25: pushgateway.servers: contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'" },
        { "pushgateway: {servers: [\"a\\r\\nb\"]}", "1:25: pushgateway.servers: contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'" },
        { "pushgateway: {servers: ['a:0']}", "1:25: pushgateway.servers: has a bad port; it must be a number from 1 to 65535" },
        { "pushgateway: {servers: [1.2.3]}", "1:25: pushgateway.servers: is not a valid IPv4 address" },
        { "pushgateway: {servers: ['::1']}", "1:25: pushgateway.servers: looks like an IPv6 address; write it in brackets and quotes: \"[::1]:9091\"" },
        { "pushgateway: {servers: ['[::g]:1']}", "1:25: pushgateway.servers: has no valid IPv6 address between '[' and ']'" },
        { "pushgateway: {servers: [a..b]}", "1:25: pushgateway.servers: has an empty label: two dots together, or one at the beginning" },
        { "pushgateway: {servers: [-a]}", "1:25: pushgateway.servers: has a label that begins or ends with '-'" },
        { "pushgateway: {servers: []}", "1:24: pushgateway.servers: must name at least one server, since discovery is static; add one, or a consul_server section" },
        { "pushgateway: {servers: [a], path_prefix: b}", "1:42: pushgateway.path_prefix: must begin with '/'" },
        { "pushgateway: {servers: [a], path_prefix: /b c}", "1:42: pushgateway.path_prefix: contains a character that must be percent-encoded in a URL" },
        { "pushgateway: {servers: [a], path_prefix: /b/../c}", "1:42: pushgateway.path_prefix: must not have empty, '.' or '..' segments" },
        { "S\nproxy_protocol: v2", "2:17: proxy_protocol: needs trusted_proxies, the addresses of the proxies that send it: trusted_proxies: [10.0.0.5, 10.1.0.0/24]" },
        { "S\nproxy_protocol: any\ntrusted_proxies: []", "2:17: proxy_protocol: needs trusted_proxies, the addresses of the proxies that send it: trusted_proxies: [10.0.0.5, 10.1.0.0/24]" },
        { "S\nproxy_protocol: v1\ntrusted_proxies: [lb.example]", "3:19: trusted_proxies: must be an IP address or a CIDR, such as 10.0.0.0/8; names are never resolved" },
        { "S\nproxy_protocol: v1\ntrusted_proxies: ['10.0.0.5:9292']", "3:19: trusted_proxies: must be an IP address or a CIDR, such as 10.0.0.0/8; names are never resolved" },
        { "S\nproxy_protocol: v1\ntrusted_proxies: ['*']", "3:19: trusted_proxies: must be an IP address or a CIDR, such as 10.0.0.0/8; names are never resolved" },
        { "S\nproxy_protocol: v1\ntrusted_proxies: [any]", "3:19: trusted_proxies: must be an IP address or a CIDR, such as 10.0.0.0/8; names are never resolved" },
        { "S\nproxy_protocol: v1\ntrusted_proxies: [10.0.0.1/8]", "3:19: trusted_proxies: has bits set beyond its prefix; write 10.0.0.0/8" },
        { "S\nhttp_path_prefix: pushgateway", "2:19: http_path_prefix: must begin with '/'" },
        { "S\nhttp_path_prefix: /push?gateway", "2:19: http_path_prefix: contains a character that must be percent-encoded in a URL" },
        { "S\nhttp_path_prefix: //pushgateway", "2:19: http_path_prefix: must not have empty, '.' or '..' segments" },
        { "S\nhttp_path_prefix: /a/../b", "2:19: http_path_prefix: must not have empty, '.' or '..' segments" },
        { "S\nhttp_path_prefix: [/a]", "2:19: http_path_prefix: must be one value, not a list" },
        { "pushgateway: {servers: [a], path_prefix: /b%2}", "1:42: pushgateway.path_prefix: contains a '%' that is not followed by two hex digits" },
        { "pushgateway: {servers: [a], scheme: ftp}", "1:37: pushgateway.scheme: must be one of http, https" },
        { "consul_server: {addr: consul}", "1:23: consul_server.addr: has no port; Consul's is 8500, or 8501 for https" },
        { "consul_server: {addr: 'ftp://a:1'}", "1:23: consul_server.addr: must begin with http://, https:// or unix://, or be host:port" },
        { "consul_server: {addr: 'http://u:p@a:1'}", "1:23: consul_server.addr: must not contain a user name and password; use consul_server.username and consul_server.password" },
        { "consul_server: {addr: 'u:p@a:1'}", "1:23: consul_server.addr: must not contain a user name and password; use consul_server.username and consul_server.password" },
        { "consul_server: {addr: '::1'}", "1:23: consul_server.addr: looks like an IPv6 address; write it in brackets and quotes: \"[::1]:8500\"" },
        { "consul_server: {addr: '2001:db8::1:8500'}", "1:23: consul_server.addr: looks like an IPv6 address; write it in brackets and quotes: \"[::1]:8500\"" },
        { "consul_server: {addr: 'http://::1:8500/ui'}", "1:23: consul_server.addr: looks like an IPv6 address; write it in brackets: http://[::1]:8500" },
        { "consul_server: {addr: 'https://::1'}", "1:23: consul_server.addr: looks like an IPv6 address; write it in brackets: https://[::1]:8501" },
        { "consul_server: {addr: 'unix://run/c'}", "1:23: consul_server.addr: must give the full path of a socket: unix:///run/consul.sock" },

        // Lists from elsewhere.
        { "discovery: dns", "1:1: dns.names: must name at least one record, since discovery is dns; add one" },
        { "discovery: dns\ndns:\n  names: []", "3:10: dns.names: must name at least one record, since discovery is dns; add one" },
        { "discovery: dns\ndns:\n  names: a", "3:10: dns.names: must be a list; put a DNS name on each line, after '- '" },
        { "discovery: dns\ndns:\n  names: [_push._tcp.a, 10.0.0.1]", "3:25: dns.names: is an address; name a record, or list addresses in pushgateway.servers" },
        { "discovery: dns\ndns:\n  names: [a, [b]]", "3:14: dns.names: each entry must be a DNS name" },
        { "discovery: dns\ndns: {names: [a], type: MX}", "2:25: dns.type: must be one of SRV, A, AAAA" },
        { "discovery: dns\ndns: {names: [a], port: 0}", "2:25: dns.port: must be a whole number from 1 to 65535" },
        { "discovery: dns\ndns: {names: [a], refresh_interval: 10ms}", "2:37: dns.refresh_interval: must be from 1s to 30d" },
        { "discovery: dns\ndns:\n  names: ['2001:db8::1']", "3:11: dns.names: is an address; name a record, or list addresses in pushgateway.servers" },
        { "discovery: dns\ndns: {names: [a], resolvers: ['2001:db8::1']}", "2:31: dns.resolvers: looks like an IPv6 address; write it in brackets and quotes: \"[::1]:53\"" },
        { "discovery: dns\ndns: {names: [a], resolvers: ['tcp://10.0.0.1']}", "2:31: dns.resolvers: must be a bare host or host:port; remove the scheme" },
        { "discovery: dns\ndns: {names: [a], resolvers: [10.0.0.1/53]}", "2:31: dns.resolvers: must be a bare host or host:port; remove the path" },
        { "discovery: dns\ndns: {names: [a], resolvers: [dns.example]}", "2:31: dns.resolvers: must be an IP address: a name would need a resolver itself" },
        { "discovery: file_sd", "1:1: file_sd.files: must name at least one file, since discovery is file_sd; add one" },
        { "discovery: file_sd\nfile_sd: {files: [a.yml, b.txt]}", "2:26: file_sd.files: must end in .json, .yml or .yaml, as in Prometheus" },
        { "discovery: file_sd\nfile_sd: {files: ['*/a.yml']}", "2:19: file_sd.files: has a pattern before its last '/'; only the file name may have one" },
        { "discovery: http_sd\nhttp_sd: {url: ''}", "2:16: http_sd.url: must name a URL, since discovery is http_sd; add it" },
        { "discovery: http_sd\nhttp_sd: {url: 'http://::1:80/targets'}", "2:16: http_sd.url: is not a valid URL; look at its host and port, and write an IPv6 address in brackets" },
        { "discovery: http_sd\nhttp_sd: {url: sd.example}", "2:16: http_sd.url: must be a URL that begins with http:// or https://" },
        { "discovery: http_sd\nhttp_sd: {url: 'http://u:p@sd.example'}", "2:16: http_sd.url: must not contain a user or a password; set http_sd.basic_auth" },
        { "discovery: http_sd\nhttp_sd: {url: 'http://sd.example/', basic_auth: {username: u}}", "2:61: http_sd.basic_auth.username: is set without http_sd.basic_auth.password_file; set both or neither" },
        { "S\ndiscovery: dns\ndns: {names: [a]}", "1:24: pushgateway.servers: names gateways, and so does discovery: dns; remove the servers, or write discovery: static" },
        { "S\nsharding: {weight_label: 1a}", "2:26: sharding.weight_label: must be a label name: letters, digits and '_', not beginning with a digit" },
        { "discovery: dns\ndns: {names: [a]}\nmembership: {allow: configured}", "3:21: membership.allow: configured allows no gateway, since pushgateway.servers is empty; list the gateways there, or CIDRs and host patterns here" },

        // Keys that belong together.
        { "consul_server: {password: x}", "1:27: consul_server.password: is set without consul_server.username; set both or neither" },
        { "consul_server: {password: x, username: ''}", "1:27: consul_server.password: is set without consul_server.username; set both or neither" },
        { "consul_server: {password: x, username: 'a:b'}", "1:40: consul_server.username: must not contain ':' or a control character" },
        { "pushgateway: {servers: [a], basic_auth: {password_file: FILE, username: ''}}", "1:57: pushgateway.basic_auth.password_file: is set without pushgateway.basic_auth.username; set both or neither" },
        { "S\nadmin: {tls: {cert_file: FILE, key_file: ''}}", "2:26: admin.tls.cert_file: is set without admin.tls.key_file; set both or neither" },
        { "pushgateway: {servers: [a], basic_auth: {username: u}}", "1:52: pushgateway.basic_auth.username: is set without pushgateway.basic_auth.password_file; set both or neither" },
        { "S\nadmin: {tls: {cert_file: FILE}}", "2:26: admin.tls.cert_file: is set without admin.tls.key_file; set both or neither" },
        { "consul_server: {tls: {key_file: FILE}}", "1:33: consul_server.tls.key_file: is set without consul_server.tls.cert_file; set both or neither" },

        // Files and secrets.
        { "consul_server: {token_file: /nowhere/t}", "1:29: consul_server.token_file: does not exist; create the file or correct the path (relative paths start at the configuration file)" },
        { "consul_server: {tls: {ca_file: /dev/zero}}", "1:32: consul_server.tls.ca_file: is a pipe or a device; name a regular file, since it is read again when it changes" },
        { "S\nadmin: {tls: {cert_file: /dev/zero, key_file: FILE}}", "2:26: admin.tls.cert_file: is a pipe or a device; name a regular file, since it is read again when it changes" },
        { "consul_server: {tls: {ca_file: /tmp}}", "1:32: consul_server.tls.ca_file: is a directory; name a file" },
        { "consul_server: {token: \"s3cret\\n\"}", "1:24: consul_server.token: contains a control character, perhaps a line break, which HTTP cannot carry; remove it" },
        { "S\nbasic_auth_users:\n  alice: s3cret", "3:10: basic_auth_users: the value of this user is not a bcrypt hash; make one with: htpasswd -nBC 10 ''" },
        { "S\nbasic_auth_users: {'al:ice': s3cret}", "2:20: basic_auth_users: a user name must not be empty or contain ':' or a control character" },
        { "S\nbasic_auth_users: [alice]", "2:19: basic_auth_users: must be a mapping of user names to bcrypt hashes" },
        { "S\nbasic_auth_users:\n  bob: $2y$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "3:8: basic_auth_users: this hash takes minutes to days to check; make one of cost 10: htpasswd -nBC 10 ''" },
        { "S\nadmin: {basic_auth_users: {alice: s3cret}}", "2:35: admin.basic_auth_users: the value of this user is not a bcrypt hash; make one with: htpasswd -nBC 10 ''" },

        { "S\nadmin: {basic_auth_users: {alice: $2y$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}", "2:35: admin.basic_auth_users: this hash takes minutes to days to check; make one of cost 10: htpasswd -nBC 10 ''" },

        // YAML itself.
        { "pushgateway: {servers: [a\0b]}", "1:26: the byte 0x00 is a control character; remove it" },
        { "S\nlog: {level: info} # \u007f", "2:22: the byte 0x7f is a control character; remove it" },
        { "S\nlog: &a {level: info}\nshutdown: *a", "3:11: a YAML alias is not supported; write the value itself, and quote a value that begins with *" },
        { "S\n<<: {reuse_port: true}", "2:1: '<<' is a YAML merge key, which is not supported; write the keys themselves" },
        { "S\nreuse_port: !!bool true", "2:13: a YAML tag is not supported; remove it, and quote a value that begins with !" },
        { "S\n---\nlog: {}", "2:1: a second document begins here; put everything into one and remove the '---'" },
        { "a: b\n  c: 2", "2:4: not valid YAML: While scanning a plain scalar value, found invalid mapping; " + Quoting },
        { "S\nlog:\n\tlevel: info", "3:1: a tab indents this line, which YAML does not allow; use spaces" },
        { "a: \"x\nb: 1\n", "2:1: not valid YAML: While scanning a multi-line double-quoted scalar, found wrong indentation (begun on line 1); " + Quoting },
        { "a: [1\nb: 2\n", "1:4: not valid YAML after this place; " + Quoting },
        { "a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "1:19: nested deeper than 16 levels; no key is that deep" },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void A_broken_file_says_where_and_what(string yaml, string expected)
    {
        string file = Path.GetTempFileName();
        string text = yaml.Replace("FILE", file, StringComparison.Ordinal);
        if (text.Split('\n').Contains("S")) text = string.Join('\n', text.Split('\n').Select(line => line == "S" ? "pushgateway: {servers: [a]}" : line));

        string[] errors = ConfigTestFile.Errors(text);
        File.Delete(file);

        Assert.Equal("test.yml:" + expected, Assert.Single(errors));
    }

    [Fact]
    public void Every_listener_that_has_no_port_of_its_own_is_one_error() => Assert.Equal(
        [
            "test.yml:1:20: admin_listen_addr: :9292 is taken by http_listen_addr (:9292); give each listener a port of its own",
            "test.yml:2:22: forward_listen_addr: :9292 is taken by http_listen_addr (:9292); give each listener a port of its own",
        ],
        ConfigTestFile.Errors("admin_listen_addr: :9292\nforward_listen_addr: :9292\npushgateway: {servers: [a]}\n"));

    [Fact]
    public void A_prefix_that_no_answer_has_room_for_is_refused() => Assert.Equal(
        ["test.yml:1:42: pushgateway.path_prefix: must not be longer than 1024 characters"],
        ConfigTestFile.Errors($"pushgateway: {{servers: [a], path_prefix: /{new string('p', 1024)}}}"));

    [Fact]
    public void A_file_that_is_far_too_large_is_refused_unread()
    {
        string path = Path.GetTempFileName();
        using (FileStream sparse = File.OpenWrite(path)) sparse.SetLength(3L << 30);
        string error = Assert.Single(ConfigTestFile.Errors($"consul_server: {{tls: {{ca_file: {path}}}}}"));
        File.Delete(path);
        Assert.Equal("test.yml:1:32: consul_server.tls.ca_file: is larger than 4 MiB, which no certificate, key or secret is; check the path", error);
    }

    [Fact]
    public void All_errors_come_at_once_in_the_files_order() => Assert.Equal(
        [
            "test.yml:1:19: http_listen_addr: must be ':port' or 'host:port'",
            "test.yml:3:9: pushgateway.port: must be a whole number from 1 to 65535",
            "test.yml:5:7: pushgateway.servers: contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'",
            "test.yml:6:7: pushgateway.servers: has a bad port; it must be a number from 1 to 65535",
            "test.yml:7:1: this is not a known key; known here: http_listen_addr, https_listen_addr, admin_listen_addr, forward_listen_addr, "
                + "forward_https_listen_addr, http_path_prefix, proxy_protocol, trusted_proxies, basic_auth_users, tls, reuse_port, discovery, consul_server, dns, file_sd, http_sd, pushgateway, sharding, membership, cleanup, limits, shutdown, forward, admin, log",
        ],
        ConfigTestFile.Errors("http_listen_addr: x\npushgateway:\n  port: 0\n  servers:\n    - a b\n    - c:d\ncolour: red\n"));

    [Theory]
    [InlineData("")]
    [InlineData("# only a comment\n")]
    [InlineData("---\n")]
    [InlineData("null")]
    public void An_empty_file_is_an_error(string yaml) =>
        Assert.Equal("test.yml: is empty; it must name pushgateway.servers or a consul_server", Assert.Single(ConfigTestFile.Errors(yaml)));

    [Fact]
    public void A_byte_that_is_not_UTF8_is_found()
    {
        byte[] content = [.. "log:\n  lé"u8, 0xe9, (byte)'\n'];

        ConfigResult result = ConfigFile.Parse("test.yml", content, _ => null);

        Assert.Equal("test.yml:2:5: the byte 0xe9 is not UTF-8; save the file as UTF-8", Assert.Single(result.Errors).ToString());
    }

    [Fact]
    public void A_file_that_cannot_be_read_says_so()
    {
        Assert.Equal("/nowhere/c.yml: does not exist; create it or name the file with --config.file", LoadError("/nowhere/c.yml"));
        Assert.Equal("/tmp: is a directory; name the file with --config.file", LoadError("/tmp"));
        Assert.Equal("configuration file: its name is empty; name the file with --config.file", LoadError(""));
        Assert.Equal("' /nowhere': does not exist; create it or name the file with --config.file", LoadError(" /nowhere"));
        Assert.Equal("'/no?where': does not exist; create it or name the file with --config.file", LoadError("/no\nwhere"));
        Assert.Equal("/dev/zero: is a socket or a device, not a regular file; name the file with --config.file", LoadError("/dev/zero"));
    }

    [Theory]
    [InlineData("/nowhere/c.yml", "does not exist; create it or name the file after check-config")]
    [InlineData("/tmp", "is a directory; name the file after check-config")]
    [InlineData("/dev/zero", "is a socket or a device, not a regular file; name the file after check-config")]
    public void Advice_is_about_the_command_that_was_given_the_file(string path, string expected) =>
        Assert.Equal($"{path}: {expected}", Assert.Single(ConfigFile.Load(path, _ => null, "after check-config").Errors).ToString());

    [Fact]
    public async Task A_named_pipe_with_a_writer_is_read_with_a_warning()
    {
        string pipe = Path.Combine(Directory.CreateTempSubdirectory().FullName, "pipe.yml");
        try
        {
            using (var run = System.Diagnostics.Process.Start("mkfifo", [pipe])) await run.WaitForExitAsync();
            // Opening it for writing waits for a reader.
            Task written = Task.Run(() => File.WriteAllText(pipe, "pushgateway: { servers: [a, b] }\nadmin_listen_addr: ''\n"));
            ConfigResult result = ConfigFile.Load(pipe, _ => null);
            await written.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Equal(2, result.Options?.Pushgateway.Servers.Length);
            Assert.Equal(
                pipe + ": is a named pipe, which is deprecated: it can be read only once, so that a reload waits until it is written again; "
                    + "write the configuration to a file, and name that with --config.file",
                Assert.Single(result.Warnings).ToString());
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(pipe)!, recursive: true);
        }
    }

    [Fact]
    public void Secrets_are_never_repeated()
    {
        string errors = string.Join('\n', ConfigTestFile.Errors(
            "consul_server: {password: [s3cret], token: \"s3cret\\a\"}\nadmin: {basic_auth_users: {a: s3cret}}"));

        Assert.DoesNotContain("s3cret", errors, StringComparison.Ordinal);
        Assert.Equal(3, errors.Split('\n').Length);
    }

    private static string LoadError(string path) => Assert.Single(ConfigFile.Load(path, _ => null).Errors).ToString();

    [Fact]
    public void A_ring_of_more_points_than_can_be_built_is_an_error()
    {
        string Servers(int count) => $"pushgateway: {{servers: [{string.Join(", ", Enumerable.Range(0, count).Select(static i => $"gw{i}"))}]}}\n";
        Assert.Empty(ConfigTestFile.Errors(Servers(100) + "sharding: {replicas: 100000}"));
        string error = Assert.Single(ConfigTestFile.Errors(Servers(101) + "sharding: {replicas: 100000}"));
        Assert.StartsWith("test.yml:2:22: sharding.replicas: with 101 servers the ring has more than 10000000 points", error, StringComparison.Ordinal);
    }

    /// <summary>By square this took 15 s; a linear reader takes well below a second. The fastest of five counts: the machine may be busy.</summary>
    [Fact]
    public void A_file_of_80000_unknown_keys_is_read_in_linear_time()
    {
        var yaml = new StringBuilder("pushgateway: {servers: [a]}\n");
        for (int i = 0; i < 80_000; i++) yaml.Append(CultureInfo.InvariantCulture, $"unknown{i}: 1\n");
        double fastest = double.MaxValue;
        for (int i = 0; i < 5 && fastest > 7; i++)
        {
            long started = Stopwatch.GetTimestamp();
            string[] errors = ConfigTestFile.Errors(yaml.ToString());
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(started).TotalSeconds);
            Assert.InRange(errors.Length, 2, 101);
        }

        Assert.InRange(fastest, 0, 7);
    }
}
