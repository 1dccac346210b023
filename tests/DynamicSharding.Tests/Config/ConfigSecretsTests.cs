using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>A password may stand anywhere in a file that is broken: no sentence about the file or the environment repeats what is written there.</summary>
public sealed class ConfigSecretsTests
{
    private const string Marker = "Zq7SECRETzq7";

    private static readonly string[] Forms =
    [
        "#", "!# x", "!#", "!!# x", "*#", "&# x", "&#", "'#", "\"#", "\"#\\n\"", "\"#\\q\"", "\"a\\0#\"", "[#]", "[[#]]", "[a, '#/x', 'u:#@h', '# ', 'http://#']", "{#: 1}", "{#}", "{a: #",
        "[#", "@#", "`#", "%#", "|#", ">#", "|\n    #", "#: x", "- #", "\n      #: 1", "\n      #: 1\n      #: 2", "\n      ? [#]\n      : 1", "\n\t#: 1", "\n#", "# # #", "? #",
        "http://user:#@127.0.0.1:1", "http://user:pa/#@127.0.0.1:1", "user:#@127.0.0.1:1", "#:1:2", "ftp://#", "unix://#", "http://h:#", "http://h/# x", "/#/../x", "/x?a?#", "/#%zz",
        "1#", "-#", "1s#", "#s", "{alice: #}", "{#: #}", "{'a:#': x}", "/dev/null/#", "\"/tmp/#\\0\"", "---\n#: 1", "...\n#", "<<: #", "\n      <<: #",
    ];

    [Fact]
    public void No_error_repeats_what_stands_at_a_key() => Assert.All(ConfigKeys.All, key =>
    {
        foreach (string form in Forms) AssertHidden(ConfigTestFile.WithKey(key.Path, Fill(form)));
    });

    [Fact]
    public void No_error_repeats_a_key_that_is_unknown_or_twice() => Assert.All(ConfigKeys.All.Select(key => key.Path[..(key.Path.LastIndexOf('.') + 1)]).Distinct(), section =>
    {
        foreach (string name in new[] { Marker, "a." + Marker, "'" + Marker + " x'", "!" + Marker, "*" + Marker, "? " + Marker })
        {
            string yaml = ConfigTestFile.WithKey(section + name, "1");
            AssertHidden(yaml);
            AssertHidden(yaml + yaml);
        }
    });

    [Theory]
    [InlineData("CONSUL_HTTP_ADDR")]
    [InlineData("CONSUL_HTTP_AUTH")]
    [InlineData("CONSUL_HTTP_TOKEN")]
    [InlineData("CONSUL_HTTP_TOKEN_FILE")]
    [InlineData("CONSUL_HTTP_SSL")]
    [InlineData("CONSUL_HTTP_SSL_VERIFY")]
    [InlineData("CONSUL_CACERT")]
    [InlineData("CONSUL_CAPATH")]
    [InlineData("CONSUL_CLIENT_CERT")]
    [InlineData("CONSUL_CLIENT_KEY")]
    [InlineData("CONSUL_TLS_SERVER_NAME")]
    [InlineData("CONSUL_NAMESPACE")]
    [InlineData("CONSUL_PARTITION")]
    public void No_error_repeats_a_variable(string name) => Assert.All(
        Forms.Append("http://user:#@127.0.0.1:8500").Append("#\n").Append("é#"), form => AssertHidden("consul_server: {}", (name, Fill(form))));

    private static string Fill(string form) => form.Replace("#", Marker, StringComparison.Ordinal);

    private static void AssertHidden(string yaml, params (string Name, string Value)[] environment)
    {
        ConfigResult result = ConfigTestFile.Parse(yaml, environment);
        Assert.All(result.Errors.Concat(result.Warnings), problem => Assert.False(
            problem.ToString().Contains("SECRET", StringComparison.Ordinal), $"{problem}\n{yaml}"));
    }

    [Fact]
    public void A_file_of_nothing_but_mistakes_takes_time_by_its_length_and_names_a_hundred()
    {
        // 80,000 keys took 15 s when each was compared with all before it; these would take minutes. Now it is a second or two, and the limit
        // leaves room for a machine that does much else.
        var yaml = new StringBuilder();
        for (int i = 0; yaml.Length < 3_500_000; i++) yaml.Append('k').Append(i).Append(":\n");

        long start = Environment.TickCount64;
        ConfigResult result = ConfigTestFile.Parse(yaml.ToString());
        Assert.True(Environment.TickCount64 - start < 200_000, $"{Environment.TickCount64 - start} ms");
        Assert.Equal(101, result.Errors.Length);
        Assert.Matches("^test.yml: [0-9]{6} more errors not shown$", result.Errors[^1].ToString());
    }

    [Fact]
    public void Servers_that_are_listed_twice_are_named_a_hundred_times()
    {
        ConfigResult result = ConfigTestFile.Parse("pushgateway:\n  servers:\n" + string.Concat(Enumerable.Repeat("  - a\n", 102)));
        Assert.Equal(101, result.Warnings.Length);
        Assert.Matches("^test.yml: [0-9]+ more warnings? not shown$", result.Warnings[^1].ToString());
    }
}
