using System.Text;
using DynamicSharding.Tests.Config;

namespace DynamicSharding.Tests.CommandLine;

/// <summary>Arguments in; standard output, standard error and exit code out.</summary>
public sealed class CommandLineTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory();

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task The_version_goes_to_standard_output()
    {
        (int code, string output, string error) = await RunAsync("--version");

        Assert.Equal(0, code);
        Assert.Matches("^dynamic-sharding, version [^ ]+ [(]revision [^ ]+[)]\n$", output);
        Assert.Equal("", error);
    }

    [Theory]
    [InlineData("-h")]
    [InlineData("--help")]
    public async Task Help_names_every_flag_and_command(string flag)
    {
        (int code, string output, _) = await RunAsync(flag);

        Assert.Equal(0, code);
        Assert.All(
            ["--config.file", "--log.level <debug|info|warn|error>", "--log.format <logfmt|json>", "--version", "-h", "dynamic-sharding.yml", "check-config"],
            text => Assert.Contains(text, output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("dynamic-sharding: error: Unrecognized command or argument '--nope'.", "--nope")]
    [InlineData("dynamic-sharding: error: argument 1 is neither a flag nor a command", "serve")]
    [InlineData("dynamic-sharding: error: argument 3 is neither a flag nor a command", "--config.file", "a.yml", "b.yml")]
    [InlineData("dynamic-sharding: error: argument 3 is one too many for check-config", "check-config", "a.yml", "a.yml")]
    [InlineData("dynamic-sharding: error: argument 2 is not a flag of healthcheck", "healthcheck", "-x")]
    [InlineData("dynamic-sharding: error: -url is not a flag; write --url", "healthcheck", "-url", "127.0.0.1:1")]
    [InlineData("dynamic-sharding: error: -config.file is not a flag; write --config.file", "-config.file=a.yml")]
    [InlineData("dynamic-sharding: error: -config.file is not a flag; write --config.file", "-config.file", "a.yml")]
    [InlineData("dynamic-sharding: error: -log.level is not a flag; write --log.level\ndynamic-sharding: error: argument 2 is neither a flag nor a command", "-log.level=info", "x")]
    [InlineData("dynamic-sharding: error: --log.level: must be one of debug, info, warn, error", "--log.level", "loud")]
    [InlineData("dynamic-sharding: error: --log.format: must be one of logfmt, json", "--log.format=xml")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--url'.", "healthcheck", "--url")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "lookup", "/metrics/job/a", "--config.file")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--add'.", "simulate", "--gateways", "a", "--add")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file", "--help")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file", "-h")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file", "--version")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file", "--help", "--log.level", "info")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "lookup", "/metrics/job/a", "--config.file", "--help")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--url'.", "healthcheck", "--url", "-h")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--url'.", "healthcheck", "--url", "--version")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--match'.", "groups", "delete", "--match", "--help")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "groups", "list", "--config.file", "-h")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "lookup", "/metrics/job/a", "--config.file", "--log.level", "debug")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--log.level'.", "--log.level")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--log.level'.", "--log.level=")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--log.level'.", "--log.level=", "--config.file", "a.yml")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--log.level'.", "--log.level", "--log.format", "json")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file", "--log.level=info")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.", "--config.file=", "a.yml")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--timeout'.", "healthcheck", "--timeout=", "--url", "a:1")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--older-than'.", "groups", "list", "--older-than=", "--url", "a:1")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--config.file'.\ndynamic-sharding: error: Required argument missing for option: '--url'.", "healthcheck", "--config.file=", "--url=")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--key'.\ndynamic-sharding: error: Required argument missing for option: '--replicas'.", "lookup", "--key", "--replicas=", "/metrics/job/a")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--gateways'.", "simulate", "--gateways")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--add'.", "simulate", "--add")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--keys.file'.", "simulate", "--keys.file")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--replicas'.", "lookup", "--replicas")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--gateways'.", "lookup", "--gateways")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--url'.", "lookup", "--url")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--url'.", "lookup", "--url", "--", "/metrics/job/a")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--gateways'.", "groups", "stale", "--gateways")]
    [InlineData("dynamic-sharding: error: Required argument missing for option: '--match'.", "groups", "delete", "--match")]
    [InlineData("dynamic-sharding: error: Unrecognized command or argument '--log.level'.", "check-config", "a.yml", "--log.level=")]
    [InlineData("dynamic-sharding: error: Required argument 'FILE' missing for command: 'check-config'.", "check-config")]
    [InlineData("dynamic-sharding: error: -config.file is not a flag; write --config.file", "-config.file", "--log.level=info")]
    [InlineData("dynamic-sharding: error: --timeout: must be a duration from 1ms to 1d, such as 500ms or 5s", "healthcheck", "--timeout", "0s")]
    [InlineData("dynamic-sharding: error: --timeout: must be a duration from 1ms to 1d, such as 500ms or 5s", "healthcheck", "--timeout", "25h")]
    [InlineData("dynamic-sharding: error: --older-than: must be a duration from 1ms to 36500d, such as 36h or 7d", "groups", "list", "--url", "a:1", "--older-than", "999999999y")]
    [InlineData("dynamic-sharding: error: groups needs one of list, stale, delete", "groups")]
    [InlineData("dynamic-sharding: error: groups needs one of list, stale, delete", "groups", "foo")]
    [InlineData("dynamic-sharding: error: groups needs one of list, stale, delete", "groups", "--match", "job=\"a\"")]
    public async Task Bad_flags_are_exit_code_2(string expected, params string[] args)
    {
        (int code, string output, string error) = await RunAsync(args);

        Assert.Equal(2, code);
        Assert.Equal("", output);
        Assert.Equal(expected + "\ndynamic-sharding: try --help\n", error);
    }

    /// <summary>A password in the wrong place is not written to a log of the job that ran the command.</summary>
    [Theory]
    [InlineData("--log.level #")]
    [InlineData("--log.format=#")]
    [InlineData("#")]
    [InlineData("-#")]
    [InlineData("--url=#")]
    [InlineData("-url=#")]
    [InlineData("healthcheck -url #")]
    [InlineData("-config.file #")]
    [InlineData("healthcheck -url=#")]
    [InlineData("healthcheck #")]
    [InlineData("check-config a #")]
    [InlineData("lookup /metrics/job/a --gateways #@h")]
    [InlineData("lookup /metrics/job/a --gateways a,http://u:#@h")]
    [InlineData("lookup /metrics/job/a --gateways a --replicas #")]
    [InlineData("lookup /metrics/job/a --gateways a --replicas=#")]
    [InlineData("lookup /metrics/job/a --gateways a --key #")]
    [InlineData("lookup /metrics/job/a --url u:#@127.0.0.1:1")]
    [InlineData("lookup /metrics/job/a --url http://u:#@127.0.0.1:1")]
    [InlineData("lookup /metrics/job/a --url http://#@127.0.0.1:1")]
    [InlineData("lookup /metrics/job/a --url http://u:#")]
    [InlineData("lookup /metrics/job/a --url http://u:1/#@127.0.0.1:1")]
    [InlineData("lookup /metrics/job/a --url http://127.0.0.1:1?token=#")]
    [InlineData("lookup /metrics/job/a --url http:/u:#@127.0.0.1:1")]
    [InlineData("lookup /metrics/job/a --url http:u:#@127.0.0.1:1")]
    [InlineData("lookup /metrics/job/a --url ftp://u:#@127.0.0.1:1")]
    [InlineData("healthcheck --url http://u:#@127.0.0.1:1")]
    [InlineData("healthcheck --url http://u:#@127.0.0.1:1/%zz")]
    [InlineData("healthcheck --url http://127.0.0.1:1/-/ready?token=#")]
    [InlineData("healthcheck --url u:#@127.0.0.1:1")]
    [InlineData("healthcheck --url #")]
    [InlineData("healthcheck --timeout #")]
    [InlineData("simulate --gateways a,u:#@h --remove a")]
    [InlineData("simulate --gateways a --add http://u:#@h")]
    [InlineData("simulate --gateways a --remove u:#@h")]
    [InlineData("simulate --gateways a --add b --keys.file http://u:#@h")]
    [InlineData("lookup http://u:#@h/metrics/job/\ufffd --gateways a")]
    [InlineData("lookup http://u:a/#@h/metrics/job@base64/\ufffd --gateways a")]
    [InlineData("lookup http://u:a/#@h/\ufffd --gateways a")]
    [InlineData("lookup http://u:#@h/other --gateways a")]
    [InlineData("lookup http://u:#@h/other --gateways a --json")]
    [InlineData("healthcheck --config.file http://u:#@h")]
    [InlineData("check-config http://u:#@h")]
    [InlineData("--config.file http://u:#@h")]
    public async Task No_message_repeats_the_value_of_a_flag(string line)
    {
        (int code, string output, string error) = await RunAsync(line.Replace("#", "Zq7SECRETzq7", StringComparison.Ordinal).Split(' '));

        Assert.NotEqual(0, code);
        Assert.NotEqual("", output + error);
        Assert.DoesNotContain("SECRET", output + error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_bad_configuration_is_one_error_line_each_and_exit_code_2()
    {
        string file = Write("bad.yml", "pushgateway:\n  servers: [a b]\n  prot: 1\n");

        (int code, string output, string error) = await RunAsync("--config.file", file);

        Assert.Equal(2, code);
        Assert.Equal("", output);
        Assert.Collection(
            error.TrimEnd('\n').Split('\n'),
            line => Assert.Matches($"^ts=[^ ]+ level=error msg=\"configuration error\" err=\"{file}:2:13: pushgateway.servers: contains a character", line),
            line => Assert.EndsWith($"err=\"{file}:3:3: 'pushgateway.prot' is not a known key; did you mean pushgateway.port?\"", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_device_in_place_of_a_password_is_an_error_that_does_not_repeat_it()
    {
        string file = Write("c.yml", "pushgateway: {servers: [127.0.0.1:1]}\n");
        (int code, _, string error) = await RunAsync("groups", "list", "--config.file", file, "--gateway-user", "u:/dev/zero");
        Assert.Equal(2, code);
        Assert.StartsWith("--gateway-user: the file after the colon is a pipe or a device; name a regular file", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_default_file_is_named_when_it_is_missing()
    {
        (int code, _, string error) = await RunAsync();

        Assert.Equal(2, code);
        Assert.Contains("err=\"dynamic-sharding.yml: does not exist; create it or name the file with --config.file\"", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_config_prints_valid_or_every_error()
    {
        string good = Write("good.yml", "pushgateway:\n  servers: [a, a, b]\n");
        string open = $"{good}: warning: {ConfigTestFile.OpenDefault["test.yml: ".Length..]}\n";
        Assert.Equal(
            (0, $"{good}: valid, discovery=static servers=2 warnings=2\n", open + $"{good}:2:16: warning: pushgateway.servers: a:9091 is listed twice and counts once; remove one\n"),
            await RunAsync("check-config", good));

        string bad = Write("bad.yml", "a: 1\nb: 2\nconsul_server: {}\n");
        (int code, string output, string error) = await RunAsync("check-config", bad);
        Assert.Equal(2, code);
        Assert.Equal("", output);
        Assert.Collection(
            error.TrimEnd('\n').Split('\n'),
            line => Assert.StartsWith($"{bad}:1:1: this is not a known key", line, StringComparison.Ordinal),
            line => Assert.StartsWith($"{bad}:2:1: this is not a known key", line, StringComparison.Ordinal));
    }

    /// <summary>It takes no --config.file.</summary>
    [Fact]
    public async Task Check_config_advises_what_it_takes()
    {
        Assert.Equal((2, "", "/nowhere/c.yml: does not exist; create it or name the file after check-config\n"), await RunAsync("check-config", "/nowhere/c.yml"));

        string pipe = Path.Combine(_directory.FullName, "pipe.yml");
        (int code, string output, string error) = await WithPipeAsync(pipe, () => RunAsync("check-config", pipe));
        Assert.Equal((0, $"{pipe}: valid, discovery=static servers=2 warnings=1\n"), (code, output));
        Assert.EndsWith("write the configuration to a file, and name that after check-config\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_config_quotes_a_name_that_would_break_its_line()
    {
        string file = Write("a\nb.yml", "pushgateway: {servers: [a, b]}\nadmin_listen_addr: ''\n"), shown = $"'{_directory.FullName}/a?b.yml'";
        Assert.Equal((0, $"{shown}: valid, discovery=static servers=2 warnings=0\n", ""), await RunAsync("check-config", file));

        file = Write("a\nb.yml", "discovery: file_sd\nfile_sd: {files: [\"no\\nfile.json\", \"n\\n*.json\"]}\nadmin_listen_addr: ''\n");
        string warning = $"{shown}: warning: file_sd.files: '{_directory.FullName}/";
        Assert.Equal(
            (0, $"{shown}: valid, discovery=file_sd servers=0 warnings=2\n",
                $"{warning}no?file.json': cannot be read: no such file; create it, or correct file_sd.files\n{warning}n?*.json': no file matches; create one, or correct file_sd.files\n"),
            await RunAsync("check-config", file));
    }

    /// <summary>As the server does. Other warnings are for who runs it.</summary>
    [Theory]
    [InlineData("lookup", "/metrics/job/a")]
    [InlineData("simulate", "--add", "b")]
    [InlineData("groups", "list")]
    [InlineData("healthcheck")]
    public async Task A_named_pipe_as_configuration_file_is_deprecated_for_every_command(params string[] command)
    {
        string pipe = Path.Combine(_directory.FullName, "pipe.yml");
        (_, _, string error) = await WithPipeAsync(pipe, () => RunAsync([.. command, "--config.file", pipe]));
        Assert.StartsWith($"{pipe}: warning: is a named pipe, which is deprecated: ", error, StringComparison.Ordinal);
        Assert.Equal("write the configuration to a file, and name that with --config.file", error.Split('\n')[0].Split("; ")[^1]);
        Assert.Equal(2, error.Split("warning: ").Length);
    }

    [Fact]
    public async Task An_empty_password_file_of_a_command_is_warned_about()
    {
        string file = Write("c.yml", "pushgateway: {servers: [127.0.0.1:1]}\n");
        (_, _, string error) = await RunAsync("groups", "list", "--config.file", file, "--gateway-user", "u:" + Write("empty", "\n"));
        Assert.StartsWith("--gateway-user: warning: the file after the colon is empty: an empty password is sent; write the password into it\n", error, StringComparison.Ordinal);
    }

    /// <summary>Makes the pipe and writes a configuration to it, with a warning of its own.</summary>
    private static async Task<T> WithPipeAsync<T>(string pipe, Func<Task<T>> run)
    {
        using (var make = System.Diagnostics.Process.Start("mkfifo", [pipe])) await make.WaitForExitAsync();

        // Opening it for writing waits for a reader.
        Task written = Task.Run(() => File.WriteAllText(pipe, "pushgateway: {servers: [127.0.0.1:1, 127.0.0.1:2]}\nadmin_listen_addr: 127.0.0.1:3\nhttp_listen_addr: 127.0.0.1:4\n"));
        T result = await run();
        await written.WaitAsync(TimeSpan.FromSeconds(60));
        return result;
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_directory.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var logs = new MemoryStream();
        int code = await DynamicSharding.CommandLine.RunAsync(args, output, error, logs);
        return (code, output.ToString(), error.ToString() + Encoding.UTF8.GetString(logs.ToArray()));
    }
}
