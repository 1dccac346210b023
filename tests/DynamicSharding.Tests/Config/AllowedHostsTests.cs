using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

public sealed class AllowedHostsTests
{
    private const string Sound = "pushgateway: {servers: [a, b]}\n";

    [Theory]
    [InlineData("", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("203.0.113.9", true)]
    [InlineData("[2001:db8::1]", true)]
    [InlineData("LocalHost.", true)]
    [InlineData("localhost.evil.example", false)]
    [InlineData("127.0.0.1.evil.example", false)]
    [InlineData("127.1", false)]
    [InlineData("evil.example", false)]
    public void Without_the_key_addresses_and_this_machine_s_names_are_allowed(string host, bool expected) =>
        Assert.Equal(expected, ConfigTestFile.Options(Sound).Admin.AllowedHosts.Allows(host));

    [Theory]
    [InlineData("status.example.com", true)]
    [InlineData("Status.Example.Com.", true)]
    [InlineData("a.pgw.example", true)]
    [InlineData("a.b.pgw.example", false)]
    [InlineData("pgw.example", false)]
    [InlineData("127.0.0.1", true)]
    [InlineData("localhost", true)]
    [InlineData("example.com", false)]
    public void Names_are_added_to_them(string host, bool expected) =>
        Assert.Equal(expected, ConfigTestFile.Options(Sound + "admin: {allowed_hosts: [status.example.com, '*.pgw.example']}").Admin.AllowedHosts.Allows(host));

    [Theory]
    [InlineData("none", "2:24: admin.allowed_hosts: must be any, or a list of host names: [status.example.com, \"*.example.com\"]")]
    [InlineData("{a: b}", "2:24: admin.allowed_hosts: must be any, or a list of host names: [status.example.com, \"*.example.com\"]")]
    [InlineData("[a, 'a:9293']", "2:28: admin.allowed_hosts: must be a host name, without scheme, port and path; IP addresses are always allowed")]
    [InlineData("['https://a']", "2:25: admin.allowed_hosts: must be a host name, without scheme, port and path; IP addresses are always allowed")]
    [InlineData("['*']", "2:25: admin.allowed_hosts: must have a label without a star, such as *.example.com; write any, without a list, to allow every name")]
    [InlineData("['a b']", "2:25: admin.allowed_hosts: contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'")]
    [InlineData("[null]", "2:25: admin.allowed_hosts: each entry must be a host name, such as status.example.com")]
    public void A_bad_value_is_an_error_with_its_place_and_the_remedy(string yaml, string expected) =>
        Assert.Equal(["test.yml:" + expected], ConfigTestFile.Errors($"{Sound}admin: {{allowed_hosts: {yaml}}}"));

    [Fact]
    public void The_machine_s_names_are_its_host_name_with_the_search_domains_and_what_the_hosts_file_calls_it()
    {
        string hosts = Path.GetTempFileName(), resolver = Path.GetTempFileName();
        File.WriteAllText(hosts, "127.0.0.1 localhost\n127.0.1.1\tedge1.dc1.example edge1 # here\n192.0.2.2 other.example other\n\n# 192.0.2.3 edge1 no\n");
        File.WriteAllText(resolver, "nameserver 192.0.2.53\nsearch dc2.example corp.example.\n");
        Assert.Equal(
            ["edge1", "edge1.corp.example", "edge1.dc1.example", "edge1.dc2.example", "localhost"],
            MachineNames.Find("edge1", hosts, resolver).Order(StringComparer.Ordinal));
        Assert.Equal(["edge1", "edge1.example", "localhost"], MachineNames.Find("edge1.example", "/no/such/file", "/no/such/file").Order(StringComparer.Ordinal));
        File.Delete(hosts);
        File.Delete(resolver);
    }
}
