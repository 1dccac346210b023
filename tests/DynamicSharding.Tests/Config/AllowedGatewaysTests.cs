using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary><c>membership.allow</c>: who matches, and what is no rule at all.</summary>
public sealed class AllowedGatewaysTests
{
    private const string Sound = "pushgateway: {servers: [10.0.0.1, 10.0.0.2]}\nconsul_server: {}\n";

    [Theory]
    [InlineData("10.0.0.0/8", "10.255.0.1:9091", true)]
    [InlineData("10.0.0.0/8", "11.0.0.1:9091", false)]
    [InlineData("0.0.0.0/0", "11.0.0.1:9091", true)]
    [InlineData("0.0.0.0/0", "[2001:db8::1]:9091", false)]
    [InlineData("10.0.0.7", "10.0.0.7:1", true)]
    [InlineData("10.0.0.7", "10.0.0.70:1", false)]
    [InlineData("10.0.0.0/8", "[::ffff:10.0.0.7]:9091", true)]
    [InlineData("::ffff:10.0.0.0/104", "10.0.0.7:9091", true)]
    [InlineData("2001:db8::/32", "[2001:db8:1::1]:9091", true)]
    [InlineData("2001:db8::/32", "[2001:db9::1]:9091", false)]
    [InlineData("2001:db8::1", "[2001:DB8:0::1]:9091", true)]
    [InlineData("[2001:db8::1]", "[2001:db8::1]:9091", true)]
    [InlineData("pgw-0.internal", "PGW-0.internal:9091", true)]
    [InlineData("pgw-0.internal", "pgw-0.internal.:9091", true)]
    [InlineData("pgw-0.internal.", "pgw-0.internal:9091", true)]
    [InlineData("pgw-0.internal", "pgw-00internal:9091", false)]
    [InlineData("*.pgw.internal", "a.pgw.internal:9091", true)]
    [InlineData("*.pgw.internal", "a.b.pgw.internal:9091", false)]
    [InlineData("*.pgw.internal", "pgw.internal:9091", false)]
    [InlineData("*.pgw.internal", "a.pgw.internal.evil.example:9091", false)]
    [InlineData("*.pgw.internal", "evilpgw.internal:9091", false)]
    [InlineData("pgw-*", "pgw-17:9091", true)]
    [InlineData("pgw-*", "pgw-17.evil.example:9091", false)]
    [InlineData("10.0.0.0/8", "ten.example:9091", false)]
    [InlineData("0.0.0.0/0", "localhost:9091", false)]
    public void A_rule_allows_what_it_says(string rule, string address, bool allowed)
    {
        AllowedGateways allow = ConfigTestFile.Options($"{Sound}membership: {{allow: ['{rule}']}}").Membership.Allow;
        Assert.Equal(allowed, allow.Allows(address, isConfigured: false));
        Assert.True(allow.Allows(address, isConfigured: true));
    }

    [Theory]
    [InlineData("any", true)]
    [InlineData("configured", false)]
    public void A_word_is_about_strangers(string word, bool allowed)
    {
        AllowedGateways allow = ConfigTestFile.Options($"{Sound}membership: {{allow: {word}}}").Membership.Allow;
        Assert.Equal(allowed, allow.Allows("10.0.0.3:9091", isConfigured: false));
        Assert.True(allow.Allows("10.0.0.1:9091", isConfigured: true));
        Assert.Equal(word, allow.ToString());
    }

    [Theory]
    [InlineData("all", "3:21: membership.allow: must be any, configured, or a list")]
    [InlineData("10.0.0.0/8", "3:21: membership.allow: must be any, configured, or a list of CIDRs and host patterns: [10.0.0.0/8, ")]
    [InlineData("{a: b}", "3:21: membership.allow: must be any, configured, or a list")]
    [InlineData("[]", "3:21: membership.allow: is an empty list; write configured")]
    [InlineData("[any]", "3:22: membership.allow: is not a host; to allow every gateway, write membership.allow: any, without a list")]
    [InlineData("[a, configured]", "3:25: membership.allow: is not a host;")]
    [InlineData("[10.0.0.0/33]", "3:22: membership.allow: has a bad prefix length; it must be a number from 0 to 32")]
    [InlineData("['fd00::/129']", "3:22: membership.allow: has a bad prefix length; it must be a number from 0 to 128")]
    [InlineData("[10.0.0.0/-1]", "3:22: membership.allow: has a bad prefix length")]
    [InlineData("[10.0.0.0/]", "3:22: membership.allow: has a bad prefix length")]
    [InlineData("[10.1.2.3/8]", "3:22: membership.allow: has bits set beyond its prefix; write 10.0.0.0/8")]
    [InlineData("['2001:db8::1/33']", "3:22: membership.allow: has bits set beyond its prefix; write 2001:db8::/33")]
    [InlineData("[10.1/8]", "3:22: membership.allow: is not a CIDR; write an IP address and a prefix length")]
    [InlineData("[a.example/8]", "3:22: membership.allow: is not a CIDR")]
    [InlineData("['*']", "3:22: membership.allow: must end in a label with a letter")]
    [InlineData("['10.0.0.*']", "3:22: membership.allow: must end in a label with a letter, such as *.pgw.internal; write IP addresses as a CIDR")]
    [InlineData("['pgw.*.']", "3:22: membership.allow: must end in a label with a letter")]
    [InlineData("[010.0.0.1]", "3:22: membership.allow: is not a valid IPv4 address")]
    [InlineData("['a:9091']", "3:22: membership.allow: is not a CIDR, an IP address or a host pattern; leave the port out")]
    [InlineData("['[::1]:9091']", "3:22: membership.allow: is not a CIDR, an IP address or a host pattern; leave the port out")]
    [InlineData("[a_b?]", "3:22: membership.allow: contains a character that is not allowed in a host name")]
    [InlineData("['']", "3:22: membership.allow: has no host")]
    [InlineData("[~]", "3:22: membership.allow: each entry must be a string")]
    [InlineData("[[a]]", "3:22: membership.allow: each entry must be a string")]
    [InlineData("[*.pgw.internal]", "3:22: a YAML alias is not supported")]
    public void What_is_no_rule_is_an_error_with_its_place_and_its_remedy(string value, string expected)
    {
        string[] errors = ConfigTestFile.Errors($"{Sound}membership: {{allow: {value}}}");
        Assert.Contains(errors, error => error.StartsWith("test.yml:" + expected, StringComparison.Ordinal));
    }

    [Fact]
    public void Configured_without_servers_allows_nobody_and_is_an_error()
    {
        Assert.Equal(
            ["test.yml:2:21: membership.allow: configured allows no gateway, since pushgateway.servers is empty; list the gateways there, or CIDRs and host patterns here"],
            ConfigTestFile.Errors("consul_server: {}\nmembership: {allow: configured}\npushgateway: {servers: []}"));
        Assert.Single(ConfigTestFile.Errors("consul_server: {}\nmembership: {allow: configured}"));
        Assert.Empty(ConfigTestFile.Errors("consul_server: {}\nmembership: {allow: [10.0.0.0/8]}"));
    }

    [Theory]
    [InlineData("basic_auth: {username: u, password_file: FILE}", "", "1:55: pushgateway.basic_auth.username: whoever registers an instance in Consul")]
    [InlineData("basic_auth: {username: u, password_file: FILE}", "membership: {allow: any}", "3:21: membership.allow: whoever registers an instance in Consul")]
    [InlineData("basic_auth: {username: u, password_file: FILE}", "membership: {allow: configured}", null)]
    [InlineData("basic_auth: {username: u, password_file: FILE}", "membership: {allow: [10.0.0.0/8]}", null)]
    [InlineData("port: 9092", "membership: {allow: any}", null)]
    public void Credentials_for_anybody_are_warned_about(string more, string membership, string? expected)
    {
        string file = Path.GetTempFileName();
        string yaml = $"pushgateway: {{servers: [a, b], {more.Replace("FILE", file, StringComparison.Ordinal)}}}\nCONSUL\n{membership}";
        string[] consul = Of(yaml.Replace("CONSUL", "consul_server: {}", StringComparison.Ordinal));
        string[] list = Of(yaml.Replace("CONSUL", "discovery: static", StringComparison.Ordinal));
        File.Delete(file);
        Assert.Empty(list);
        if (expected is null) Assert.Empty(consul);
        else Assert.StartsWith("test.yml:" + expected, Assert.Single(consul), StringComparison.Ordinal);

        static string[] Of(string yaml) => [.. ConfigTestFile.Parse(yaml).Warnings.Select(static w => w.ToString()).Where(static w => w.Contains("registers an instance", StringComparison.Ordinal))];
    }

    [Fact]
    public void A_client_certificate_for_anybody_is_warned_about()
    {
        using var pem = new PemFolder();
        string certificate = pem.Issue("cert.pem", "key.pem");
        string yaml = $"consul_server: {{}}\npushgateway: {{servers: [a, b], scheme: https, tls: {{cert_file: {certificate}, key_file: {Path.Combine(pem.Path, "key.pem")}}}}}";
        Assert.Contains(ConfigTestFile.Parse(yaml).Warnings, static w => w.ToString().Contains("pushgateway.tls.cert_file: whoever registers an instance in Consul", StringComparison.Ordinal));
    }
}
