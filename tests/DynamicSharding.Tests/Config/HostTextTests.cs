using System.Text.Json;
using CsCheck;
using DynamicSharding.Commands;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Config;

/// <summary>What a gateway's host is: one rule and one spelling, through whichever door an address comes.</summary>
public sealed class HostTextTests
{
    public static TheoryData<string, string> Hosts => new()
    {
        { "pgw-0", "pgw-0" },
        { "PGW-0", "pgw-0" },
        { "pgw-0.example.", "pgw-0.example" },
        { "a_b.c", "a_b.c" },
        { "a_.b", "a_.b" },
        { "1a.2b", "1a.2b" },
        { "0x1g", "0x1g" },
        { "xn--pgw-0qa.example", "xn--pgw-0qa.example" },
        { "10.0.0.1", "10.0.0.1" },
        { "[::1]", "[::1]" },
        { "[0:0:0:0:0:0:0:1]", "[::1]" },
        { "[2001:DB8::0:1:0:0]", "[2001:db8::1:0:0]" },
        { "[2001:db8:0:1:1:1:1:1]", "[2001:db8:0:1:1:1:1:1]" },
        { "[2001:db8:0:0:1:0:0:1]", "[2001:db8::1:0:0:1]" },
        { "[::ffff:10.0.0.1]", "10.0.0.1" },
        { "[::FFFF:a00:1]", "10.0.0.1" },
    };

    public static TheoryData<string> NoHosts =>
    [
        "a.b._c", "pgw.team._internal", "_a", "..", ".", "a..b", ".a", "999.999.999.999", "256.1.1.1", "1.2.3", "127.1", "1", "010.0.0.1", "a.1",
        "1.2.3.4.", "0x7f.1", "0x7f", "0x", "0x7f000001", "a.0X1f", "-a-", "-a", "a-", "a.-b", "a b", "a/b", "a?b", "a#b", "a@b", "a<b", "ä", "a%20",
        "[", "[]", "[::1", "[g::]", "[::1%25eth0]", "[1.2.3.4]", "[::1]x", "a,b", new string('a', 64), string.Join('.', Enumerable.Repeat(new string('a', 60), 5)),
    ];

    [Theory]
    [MemberData(nameof(Hosts))]
    public void A_host_has_one_spelling_at_every_door(string written, string canonical)
    {
        string expected = canonical + ":9091";
        Assert.Equal([expected], FromFile(written, "group"));
        Assert.Equal([expected], FromFile(written + ":09091", "group"));
        Assert.Equal([expected], FromCommand(written, "group"));
        Assert.Equal([expected], FromConsul(written, ShardingKey.Group));
        Assert.Equal([expected], FromFile(canonical, "group"));

        // Beside the original it is what is written.
        string spelled = written + ":9091";
        Assert.Equal([spelled], FromFile(written, "path"));
        Assert.Equal([written + ":09091"], FromFile(written + ":09091", "path"));
        Assert.Equal([spelled], FromCommand(written, "path"));
        Assert.Equal([spelled], FromConsul(written, ShardingKey.Path));
    }

    [Theory]
    [MemberData(nameof(NoHosts))]
    public void What_is_no_host_is_none_at_any_door(string written)
    {
        foreach (ShardingKey key in new[] { ShardingKey.Group, ShardingKey.Path })
        {
            string name = key == ShardingKey.Path ? "path" : "group";
            Assert.NotEmpty(ConfigTestFile.Errors(File(written, name)));
            if (!written.Contains(',')) Assert.Throws<CommandException>(() => FromCommand(written, name));
            Assert.Empty(FromConsul(written, key));
        }

        Assert.NotNull(HostText.CheckHost(written));
        string status = $$"""{"members": [{{JsonSerializer.Serialize(written + ":9091")}}]}""";
        Assert.Throws<JsonException>(() => RingDefinition.FromStatus(System.Text.Encoding.UTF8.GetBytes(status)));
    }

    [Fact]
    public void The_error_names_the_rule() => Assert.Equal(
        ["test.yml:1:38: pushgateway.servers: has a label that begins with '_'; a host's labels begin with a letter or digit"],
        ConfigTestFile.Errors("pushgateway: {port: 9091, servers: [ pgw.team._internal ]}"));

    /// <summary>What the probes, the forwards and Consul's checks are told is a URL, and the framework's parser has the last word on it.</summary>
    [Fact]
    public void Whatever_is_a_host_is_one_to_the_frameworks_URLs() => Gen.Char["ab1-_.0xX9"].Array[1, 12].Sample(
        chars =>
        {
            string host = new(chars);
            if (HostText.CheckHost(host) is not null) return true;
            string canonical = HostText.Canonical(host, 9091);
            return Uri.TryCreate($"http://{canonical}/-/healthy", UriKind.Absolute, out Uri? url)
                && url.Authority == canonical
                && url.IdnHost == url.Host
                && HostText.CheckAuthority(canonical, out _) is null
                && HostText.Canonical(canonical, 1) == canonical;
        },
        iter: 200_000);

    [Fact]
    public void Any_IPv6_address_has_one_spelling() => Gen.Byte.Array[16].Sample(bytes =>
    {
        var address = new System.Net.IPAddress([.. bytes.Select(static b => b < 128 ? (byte)0 : b)]);
        string groups = string.Join(':', address.GetAddressBytes().Chunk(2).Select(static pair => $"{pair[0]:X2}{pair[1]:X2}"));
        string canonical = HostText.Canonical($"[{groups}]:00080", 1);
        return canonical == HostText.Canonical($"[{address}]", 80) && canonical == HostText.Canonical(canonical, 1) && !canonical.Any(char.IsAsciiLetterUpper);
    });

    /// <summary>The limits of the parts are one limit of the whole: what the validator lets pass can be published.</summary>
    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public void The_longest_valid_address_and_prefix_make_a_Location(string scheme)
    {
        string host = string.Join('.', Enumerable.Repeat(new string('a', 63), 3)) + "." + new string('b', 61) + ".";
        string prefix = "/" + new string('p', UrlPathText.MaxLength - 1);
        string File(string path) => $"sharding: {{key: path}}\npushgateway: {{scheme: {scheme}, path_prefix: {path}, servers: ['{host}:65535', b]}}";
        PushgatewayOptions options = ConfigTestFile.Options(File(prefix)).Pushgateway;
        var gateways = new GatewayRegistry(1, options.Scheme, options.PathPrefix);
        Assert.Equal($"{scheme}://{host}:65535{prefix}".Length, gateways.For(options.Servers[0]).LocationPrefix.Length);
        Assert.NotEmpty(ConfigTestFile.Errors(File(prefix + "p")));
    }

    private static string File(string server, string key) =>
        $"sharding: {{key: {key}}}\npushgateway:\n  servers: [{JsonSerializer.Serialize(server)}]\n";

    private static string[] FromFile(string server, string key) => [.. ConfigTestFile.Options(File(server, key)).Pushgateway.Servers];

    private static string[] FromCommand(string gateway, string key) =>
        [.. MemberSource.Identify(MemberSource.ParseGateways("--gateways", gateway), ShardingKeyNames.Find(key)!.Value).Select(static g => g.Address)];

    private static string[] FromConsul(string host, ShardingKey key)
    {
        // Consul writes IPv6 without brackets.
        string address = host.StartsWith('[') && host.EndsWith(']') && host.Contains(':') ? host[1..^1] : host;
        var row = new ServiceEntry(null, new AgentService("id", "pushgateway", address, 9091, null), []);
        return [.. ConsulHealthEvaluator.Evaluate([row], true, [], key).Select(static v => v.Address)];
    }
}
