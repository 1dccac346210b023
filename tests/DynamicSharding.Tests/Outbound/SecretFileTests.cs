using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Tests.Outbound;

public sealed class SecretFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Content_that_cannot_be_the_secret_keeps_the_last_one()
    {
        var file = new SecretFile(_path, static text => ConfigText.UnsendableToken(text) is null);
        Write("first\n");
        Assert.Equal("first", file.Current());
        foreach (string content in (string[])["sec\nond", "", " \n\n"])
        {
            Write(content);
            Assert.Equal("first", file.Current());
        }

        Write("third one");
        Assert.Equal("third one", file.Current());
    }

    [Fact]
    public void A_token_that_cannot_be_sent_is_an_error_of_the_configuration()
    {
        Write("sec\nond");
        const string Why = "contains a control character, perhaps a line break, which HTTP cannot carry; remove it";
        ConfigResult result = ConfigFile.Parse("test.yml", Encoding.UTF8.GetBytes($"consul_server: {{token_file: {_path}}}"), static _ => null);
        Assert.Equal($"test.yml:1:29: consul_server.token_file: {Why}", Assert.Single(result.Errors).ToString());

        result = ConfigFile.Parse("test.yml", "consul_server: {}"u8.ToArray(), name => name == "CONSUL_HTTP_TOKEN_FILE" ? _path : null);
        Assert.Equal($"environment: CONSUL_HTTP_TOKEN_FILE: {Why}", Assert.Single(result.Errors).ToString());
    }

    [Fact]
    public void A_pipe_or_a_device_in_place_of_the_file_does_not_block_and_keeps_the_last_secret()
    {
        Write("first\n");
        var file = new SecretFile(_path);
        Assert.Equal("first", file.Current());
        foreach (string command in (string[])["mkfifo", "ln -s /dev/zero", "ln -s /no/such/file"])
        {
            File.Delete(_path);
            Shell($"{command} {_path}");
            Assert.Equal("first", file.Current());
        }

        Assert.Null(new SecretFile("/dev/zero").Current());
    }

    /// <summary>As with mounted secrets: a link in the middle of the path changes, while the file's own link stays.</summary>
    [Fact]
    public void A_renewal_behind_a_symbolic_link_is_noticed()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        Shell($"cd {folder} && mkdir a b && echo one >a/t && echo two >b/t && touch -d 2020-01-01 a/t && ln -s a now && ln -s now/t t");
        var file = new SecretFile(Path.Combine(folder, "t"));
        Assert.Equal("one", file.Current());
        Shell($"cd {folder} && ln -sfn b now");
        Assert.Equal("two", file.Current());
        Directory.Delete(folder, recursive: true);
    }

    private static void Shell(string command)
    {
        using var shell = System.Diagnostics.Process.Start("sh", ["-c", command]);
        shell.WaitForExit();
        Assert.Equal(0, shell.ExitCode);
    }

    private void Write(string text) => File.WriteAllText(_path, text);
}
