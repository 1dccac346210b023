using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>What the program could not work with at the first handshake is an error of the configuration.</summary>
public sealed class PemFilesTests : IDisposable
{
    private const string Servers = "pushgateway: {servers: [a], scheme: https, tls: {";
    private readonly PemFolder _folder = new();
    private readonly string _certificate;
    private readonly string _key;
    private readonly string _otherKey;
    private readonly string _text;
    private readonly string _garbage;

    public PemFilesTests()
    {
        _certificate = _folder.Issue("a.crt", "a.key");
        _key = Path.Combine(_folder.Path, "a.key");
        _folder.Issue("b.crt", "b.key");
        _otherKey = Path.Combine(_folder.Path, "b.key");
        _text = _folder.Write("text.pem", "hello\n");
        _garbage = _folder.Write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Good_ones_are_taken() => Assert.Empty(ConfigTestFile.Errors(
        $$"""
        pushgateway: {servers: [a], scheme: https, tls: {ca_file: {{_certificate}}, cert_file: {{_certificate}}, key_file: {{_key}}} }
        consul_server: {tls: {ca_file: {{_certificate}}, cert_file: {{_certificate}}, key_file: {{_key}}} }
        admin: {tls: {cert_file: {{_certificate}}, key_file: {{_key}}} }
        """));

    [Theory]
    [InlineData("consul_server: {tls: {ca_file: TEXT}}", "1:32: consul_server.tls.ca_file: holds no certificate; it must be PEM")]
    [InlineData("consul_server: {tls: {ca_file: GARBAGE}}", "1:32: consul_server.tls.ca_file: holds a certificate that cannot be read: ")]
    [InlineData(Servers + "ca_file: KEY}}", "1:59: pushgateway.tls.ca_file: holds no certificate")]
    [InlineData("consul_server: {tls: {cert_file: CERT, key_file: OTHER}}", "1:34: consul_server.tls.cert_file: does not work with its key: ")]
    [InlineData("consul_server: {tls: {cert_file: TEXT, key_file: KEY}}", "1:34: consul_server.tls.cert_file: does not work with its key: ")]
    [InlineData(Servers + "cert_file: CERT, key_file: TEXT}}", "1:61: pushgateway.tls.cert_file: does not work with its key: ")]
    [InlineData("pushgateway: {servers: [a]}\nadmin: {tls: {cert_file: CERT, key_file: GARBAGE}}", "2:26: admin.tls.cert_file: does not work with its key: ")]
    public void A_bad_one_is_an_error_that_names_it(string yaml, string expected) =>
        Assert.StartsWith("test.yml:" + Fill(expected), Assert.Single(ConfigTestFile.Errors(Fill(yaml))), StringComparison.Ordinal);

    [Fact]
    public void The_environments_are_judged_too()
    {
        string[] errors = ConfigTestFile.Errors(
            "consul_server: {}",
            ("CONSUL_CACERT", _text),
            ("CONSUL_CAPATH", _folder.Path),
            ("CONSUL_CLIENT_CERT", _certificate),
            ("CONSUL_CLIENT_KEY", _otherKey));

        Assert.Equal(3, errors.Length);
        Assert.StartsWith("environment: CONSUL_CACERT: holds no certificate", errors[0], StringComparison.Ordinal);
        Assert.StartsWith("environment: CONSUL_CAPATH: holds a certificate that cannot be read", errors[1], StringComparison.Ordinal);
        Assert.StartsWith("environment: CONSUL_CLIENT_CERT: does not work with its key", errors[2], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mkfifo", "is a pipe or a device")]
    [InlineData("ln -s /dev/zero", "is a pipe or a device")]
    [InlineData("truncate -s 5M", "is larger than 4 MiB")]
    public async Task What_is_no_certificate_file_in_a_folder_is_neither_waited_for_nor_read_to_its_end(string command, string why)
    {
        using var folder = new PemFolder();
        string[] words = [.. command.Split(' '), Path.Combine(folder.Path, "x.pem")];
        using (var run = System.Diagnostics.Process.Start(words[0], words[1..])) await run.WaitForExitAsync();

        string[] errors = await Task.Run(() => ConfigTestFile.Errors("consul_server: {}", ("CONSUL_CAPATH", folder.Path))).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.StartsWith("environment: CONSUL_CAPATH: x.pem in it " + why, Assert.Single(errors), StringComparison.Ordinal);
        Exception? error = await Task.Run(() => Record.Exception(() => ConfigFiles.ReadText(words[^1]))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.StartsWith($"{words[^1]} {why}", Assert.IsType<IOException>(error).Message, StringComparison.Ordinal);
    }

    private string Fill(string text) => text
        .Replace("CERT", _certificate, StringComparison.Ordinal)
        .Replace("OTHER", _otherKey, StringComparison.Ordinal)
        .Replace("KEY", _key, StringComparison.Ordinal)
        .Replace("TEXT", _text, StringComparison.Ordinal)
        .Replace("GARBAGE", _garbage, StringComparison.Ordinal);
}
