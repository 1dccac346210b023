using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class SecretFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Content_that_cannot_be_the_secret_leaves_the_last_good_one()
    {
        var file = new SecretFile(_path, static text => ConfigText.UnsendableToken(text) is null);
        Write("first\n");
        Assert.Equal("first", file.Current());
        Write("sec\nond");
        Assert.Equal("first", file.Current());
        Write("third one");
        Assert.Equal("third one", file.Current());
    }

    [Fact]
    public void A_token_that_cannot_be_sent_is_an_error_of_the_configuration()
    {
        Write("sec\nond");
        const string Why = "has a control character (a line break perhaps), which cannot be sent";
        ConfigResult result = ConfigFile.Parse("test.yml", Encoding.UTF8.GetBytes($"consul_server: {{token_file: {_path}}}"), static _ => null);
        Assert.Equal($"test.yml:1:29: consul_server.token_file: '{_path}' {Why}", Assert.Single(result.Errors).ToString());

        result = ConfigFile.Parse("test.yml", "consul_server: {}"u8.ToArray(), name => name == "CONSUL_HTTP_TOKEN_FILE" ? _path : null);
        Assert.Equal($"environment: CONSUL_HTTP_TOKEN_FILE: '{_path}' {Why}", Assert.Single(result.Errors).ToString());
    }

    [Fact]
    public void A_file_that_never_ends_is_not_read_to_its_end() => Assert.NotNull(new SecretFile("/dev/zero").Current());

    private void Write(string text) => File.WriteAllText(_path, text);
}
