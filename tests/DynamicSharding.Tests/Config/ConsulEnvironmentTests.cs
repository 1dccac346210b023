using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>Consul's own variables rank below the file and above the defaults.</summary>
public sealed class ConsulEnvironmentTests : IDisposable
{
    private readonly PemFolder _folder = new();
    private readonly string _file;
    private readonly string _tokenFile;

    public ConsulEnvironmentTests()
    {
        _file = _folder.Issue("both.pem", "both.pem");
        _tokenFile = Path.Combine(_folder.Path, "token");
        File.WriteAllText(_tokenFile, "t2\n");
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("abc\r\nX-Evil: 1", "contains a control character, perhaps a line break, which HTTP cannot carry; remove it")]
    [InlineData("t\u00f6ken", "contains a character outside ASCII, which HTTP cannot carry; remove it")]
    public void A_token_that_no_field_can_carry_is_an_error(string token, string why)
    {
        ConfigResult result = ConfigTestFile.Parse("consul_server: {}", ("CONSUL_HTTP_TOKEN", token));
        Assert.Equal("environment: CONSUL_HTTP_TOKEN: " + why, Assert.Single(result.Errors).ToString());
    }

    [Fact]
    public void The_line_break_behind_a_token_is_no_part_of_it() =>
        Assert.Equal("abc", ConfigTestFile.Options("consul_server: {}", ("CONSUL_HTTP_TOKEN", "abc\n")).Consul.Token);

    [Fact]
    public void The_environment_fills_what_the_file_leaves_out()
    {
        ConsulOptions consul = ConfigTestFile.Options(
            "consul_server: {}",
            ("CONSUL_HTTP_ADDR", "consul.example:8501"),
            ("CONSUL_HTTP_AUTH", "me:pass:word"),
            ("CONSUL_HTTP_TOKEN", "t"),
            ("CONSUL_HTTP_TOKEN_FILE", _tokenFile),
            ("CONSUL_HTTP_SSL", "1"),
            ("CONSUL_HTTP_SSL_VERIFY", "F"),
            ("CONSUL_CACERT", _file),
            ("CONSUL_CAPATH", _folder.Path),
            ("CONSUL_CLIENT_CERT", _file),
            ("CONSUL_CLIENT_KEY", _file),
            ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"),
            ("CONSUL_NAMESPACE", "ns"),
            ("CONSUL_PARTITION", "part")).Consul;

        Assert.Equal(
            new ConsulOptions
            {
                Addr = "consul.example:8501",
                Username = "me",
                Password = "pass:word",
                Token = "t",
                TokenFile = _tokenFile,
                Namespace = "ns",
                Partition = "part",
                Tls = new ConsulTlsOptions
                {
                    Enabled = true,
                    CaFile = _file,
                    CaPath = _folder.Path,
                    CertFile = _file,
                    KeyFile = _file,
                    ServerName = "server.dc1.consul",
                    InsecureSkipVerify = true,
                },
            },
            consul);
    }

    [Fact]
    public void The_file_wins_setting_by_setting()
    {
        string yaml = $$"""
            consul_server:
              addr: a:1
              username: u
              token: mine
              tls: {ca_file: {{_file}}, cert_file: {{_file}}, key_file: {{_file}}, server_name: s, insecure_skip_verify: false}
            """;

        ConsulOptions consul = ConfigTestFile.Options(
            yaml,
            ("CONSUL_HTTP_ADDR", "b:2"),
            ("CONSUL_HTTP_AUTH", "me:password"),
            ("CONSUL_HTTP_TOKEN", "t"),
            ("CONSUL_HTTP_TOKEN_FILE", "/nowhere"),
            ("CONSUL_HTTP_SSL_VERIFY", "false"),
            ("CONSUL_CACERT", "/nowhere"),
            ("CONSUL_CAPATH", "/nowhere"),
            ("CONSUL_CLIENT_CERT", "/nowhere"),
            ("CONSUL_TLS_SERVER_NAME", "b")).Consul;

        Assert.Equal(
            new ConsulOptions
            {
                Addr = "a:1",
                Username = "u",
                Token = "mine",
                Tls = new ConsulTlsOptions { CaFile = _file, CertFile = _file, KeyFile = _file, ServerName = "s" },
            },
            consul);
    }

    [Theory]
    [InlineData("1", true)]
    [InlineData("t", true)]
    [InlineData("TRUE", true)]
    [InlineData("0", false)]
    [InlineData("False", false)]
    [InlineData("", false)]
    public void Booleans_are_Gos(string value, bool expected) =>
        Assert.Equal(expected, ConfigTestFile.Options("consul_server: {}", ("CONSUL_HTTP_SSL", value)).Consul.Tls.Enabled);

    [Theory]
    [InlineData("CONSUL_HTTP_SSL", "yes", "CONSUL_HTTP_SSL: must be true or false")]
    [InlineData("CONSUL_HTTP_SSL_VERIFY", "2", "CONSUL_HTTP_SSL_VERIFY: must be true or false")]
    [InlineData("CONSUL_HTTP_ADDR", "a b:1", "CONSUL_HTTP_ADDR: contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'")]
    [InlineData("CONSUL_CAPATH", "/nowhere", "CONSUL_CAPATH: is not a directory; correct or unset it")]
    [InlineData("CONSUL_CACERT", "/tmp", "CONSUL_CACERT: is a directory; name a file")]
    public void A_bad_variable_is_named(string name, string value, string expected)
    {
        Assert.Equal("environment: " + expected, Assert.Single(ConfigTestFile.Errors("consul_server: {}", (name, value))));
        Assert.Empty(ConfigTestFile.Errors("pushgateway: {servers: [a]}", (name, value)));
    }

    [Fact]
    public void Half_a_key_pair_is_an_error() => Assert.Equal(
        "environment: CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY belong together; set both or neither",
        Assert.Single(ConfigTestFile.Errors("consul_server: {}", ("CONSUL_CLIENT_KEY", _file))));
}
