using System.Net;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Configuration files that are broken, missing, or no files.</summary>
public sealed class ConfigFileTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact, Trait("Category", "Slow")]
    public async Task A_pipe_that_nobody_writes_to_is_an_error_and_one_that_is_written_is_a_file()
    {
        const string Script = """
            mkfifo "$1/named"
            "$2" check-config "$1/named" && exit 1
            printf 'pushgateway: { servers: [a] }' >"$1/named" &
            "$2" check-config "$1/named" || exit 1
            "$2" check-config /dev/null && exit 1
            "$2" check-config <(exec sleep 15) && exit 1
            printf 'pushgateway: { servers: [a] }' | "$2" check-config /dev/stdin || exit 1
            "$2" check-config <(printf 'pushgateway: { servers: [a] }') || exit 1
            """;
        using TemporaryFolder folder = new();
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        string directory = Path.GetDirectoryName(folder.Write("unused", ""))!;
        await using ChildProcess run = await ChildProcess.StartAsync("bash", "bash", ["-c", Script, "bash", directory, Binary.Path], environment);
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromSeconds(60)) == 0, run.Output);
        Assert.Equal(1, Regex.Count(run.Output, "/named: could not be read to its end within 10 s; if it is a pipe, somebody must write to it and close it"));
        Assert.Equal(1, Regex.Count(run.Output, "/named: warning: is a named pipe, which is deprecated: .*; write the configuration to a file, and name that after check-config"));
        Assert.Contains("/dev/null: is a socket or a device, not a regular file; name the file after check-config", run.Output, StringComparison.Ordinal);
        Assert.DoesNotMatch("/dev/(stdin|fd/[0-9]+): warning: is a named pipe", run.Output);
        Assert.Matches("/dev/fd/[0-9]+: waiting for its end; if it is a pipe, somebody must write to it and close it", run.Output);
        Assert.Matches("/dev/fd/[0-9]+: could not be read to its end within 10 s; if it is a pipe, somebody must write to it", run.Output);
    }

    [Fact]
    public async Task An_edited_file_shows_until_it_is_reloaded()
    {
        const string Before = "pushgateway: { servers: [127.0.0.1:9101], health_check: { enabled: false } }\n";
        string after = Before.Replace("9101", "9102", StringComparison.Ordinal);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Before);
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        await ExpectAsync("loaded", null);

        DateTimeOffset written = DateTimeOffset.UtcNow;
        server.WriteConfig(after);
        await ExpectAsync("edited", "it was edited at ");
        DateTimeOffset at = (await server.StatusAsync()).GetProperty("config_file").GetProperty("edited_at").GetDateTimeOffset();
        Assert.InRange(at, written - TimeSpan.FromSeconds(2), DateTimeOffset.UtcNow + TimeSpan.FromSeconds(2));
        Assert.Contains(await server.WarningsAsync(), static warning => warning.StartsWith("The configuration file was edited at ", StringComparison.Ordinal));
        Assert.Equal(["127.0.0.1:9101"], (await server.StatusAsync()).GetProperty("configured").EnumerateArray().Select(static gateway => gateway.GetString()));

        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await ExpectAsync("loaded", null);
        server.WriteConfig(after);
        await ExpectAsync("loaded", null);

        // A reload that is refused says so itself.
        server.WriteConfig(after + "colour: red\n");
        await ExpectAsync("edited", "it was edited at ");
        const string Expected = ":1: this is not a known key; known here: ";
        await ExpectErrorAsync(static error => error?.Contains(Expected, StringComparison.Ordinal) == true);
        string shown = await admin.GetStringAsync("");
        Assert.Contains(", and would not load: a reload fails, and so does the next start.", shown, StringComparison.Ordinal);
        Assert.Contains(Expected, shown, StringComparison.Ordinal);

        // Mended, it would.
        server.WriteConfig(Before + "log: { level: debug }\n");
        await ExpectErrorAsync(static error => error is null);
        await ExpectAsync("edited", "and has not been reloaded since.");
        server.WriteConfig(after + "colour: red\n");
        Assert.Equal(HttpStatusCode.BadRequest, (await server.ReloadAsync()).Status);
        await ExpectAsync("edited", "The last reload failed");
        await ExpectErrorAsync(static error => error?.Contains(Expected, StringComparison.Ordinal) == true);
        File.Delete(server.ConfigFile);
        await ExpectAsync("missing", "The configuration file does not exist any more");

        Task ExpectErrorAsync(Predicate<string?> expected) => Eventually.TrueAsync(
            async () => expected((await server.StatusAsync()).GetProperty("config_file").GetProperty("error").GetString()), TimeSpan.FromSeconds(60), () => "the error of the edited file");

        async Task ExpectAsync(string state, string? said)
        {
            Assert.Equal(state, (await server.StatusAsync()).GetProperty("config_file").GetProperty("state").GetString());
            string page = await admin.GetStringAsync("");
            if (said is null) Assert.DoesNotContain("edited at", page, StringComparison.Ordinal);
            else Assert.Contains(said, page, StringComparison.Ordinal);
        }
    }

    /// <summary>By a signal and by a request, and none of them waits for what stands there.</summary>
    [Fact]
    public async Task After_a_failed_reload_the_state_says_why_the_file_does_not_load()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync("pushgateway: { servers: [127.0.0.1:9101], health_check: { enabled: false } }\n");
        await server.WaitUntilReadyAsync();
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        string good = await File.ReadAllTextAsync(server.ConfigFile);
        foreach ((string command, string state, string why) in ((string, string, string)[])
            [
                ("rm -f \"$1\"", "missing", "does not exist"),
                ("rm -f \"$1\" && mkdir \"$1\"", "edited", "is a directory"),
                ("rmdir \"$1\" && ln -sf /dev/zero \"$1\"", "edited", "is a socket or a device, not a regular file"),
                ("rm -f \"$1\" && echo 'colour: red' >\"$1\"", "edited", "this is not a known key"),
            ])
        {
            await using (ChildProcess shell = await ChildProcess.StartAsync("bash", "bash", ["-c", command, "bash", server.ConfigFile])) Assert.Equal(0, await shell.WaitForExitAsync(TimeSpan.FromSeconds(10)));
            if (state == "missing") server.Process.Hangup();
            else Assert.Equal(HttpStatusCode.BadRequest, (await server.ReloadAsync()).Status);
            await Eventually.TrueAsync(
                async () => (await server.StatusAsync()).GetProperty("config_file") is var file && file.GetProperty("state").GetString() == state
                    && file.GetProperty("error").GetString()?.Contains(why, StringComparison.Ordinal) == true,
                TimeSpan.FromSeconds(30),
                () => why);
            Assert.Contains(await server.WarningsAsync(), static warning => warning.EndsWith(": a reload fails, and so does the next start.", StringComparison.Ordinal));
            Assert.Contains(why, await admin.GetStringAsync(""), StringComparison.Ordinal);
        }

        File.Delete(server.ConfigFile);
        await File.WriteAllTextAsync(server.ConfigFile, good);
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        Assert.Equal("loaded", (await server.StatusAsync()).GetProperty("config_file").GetProperty("state").GetString());
    }

    [Fact]
    public async Task A_pipe_in_a_files_place_is_an_error_and_a_reload_that_hangs_holds_up_no_stop()
    {
        const string Script = """
            mkfifo "$1/pipe"
            printf 'pushgateway: { servers: [a, b], basic_auth: { username: u, password_file: pipe } }' >"$1/named.yml"
            "$2" check-config "$1/named.yml"; [ $? = 2 ] || exit 1
            printf 'pushgateway: { servers: [a, b], health_check: { enabled: false } }\nshutdown: { drain_delay: 0s }
            http_listen_addr: 127.0.0.1:0\nadmin_listen_addr: ""\n' >"$1/c.yml"
            "$2" --config.file "$1/c.yml" 3<>"$1/pipe" >"$1/log" 2>&1 & pid=$!
            for i in $(seq 200); do grep -q msg=ready "$1/log" && break; sleep 0.1; done
            ln -sf /dev/fd/3 "$1/c.yml"
            kill -HUP $pid; sleep 1; kill -TERM $pid
            for i in $(seq 80); do kill -0 $pid 2>/dev/null || { wait $pid; exit $((10 + $?)); }; sleep 0.1; done
            kill -KILL $pid; exit 2
            """;
        using TemporaryFolder folder = new();
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        string directory = Path.GetDirectoryName(folder.Write("unused", ""))!;
        await using ChildProcess run = await ChildProcess.StartAsync("bash", "bash", ["-c", Script, "bash", directory, Binary.Path], environment);
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromSeconds(60)) == 10, run.Output);
        Assert.Contains("password_file: is a pipe or a device; name a regular file", run.Output, StringComparison.Ordinal);
    }

    /// <summary>The addresses are the server's own, so that a rejected reload is all that happens.</summary>
    [Fact]
    public async Task A_refused_reload_shows_no_secret_anywhere()
    {
        const string Good = "pushgateway:\n  servers: [127.0.0.1:9101]\n  health_check: { enabled: false }\n";
        string[] bad =
        [
            "consul_server: { addr: \"http://user:SECRET@127.0.0.1:8500\" }", "consul_server: { username: u, password: !SECRET x }",
            "consul_server: { username: u, password: *SECRET }", "consul_server:\n  password:\n    SECRET: x",
            "consul_server:\nSECRET:", "consul_server: { token_file: SECRET }", "admin: { basic_auth_users: { SECRET: SECRET } }", "sharding: { replicas: SECRET }",
            "log: { level: SECRET }", "SECRET: 1\nSECRET: 2", "consul_server: { password: [SECRET", "consul_server: { password: @SECRET }",
        ];
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Good);
        using HttpClient admin = new() { BaseAddress = new Uri($"http://{server.AdminAddress}") };
        foreach (string lines in bad)
        {
            server.WriteConfig(Good + lines + "\n");
            (System.Net.HttpStatusCode status, string text) = await server.ReloadAsync();
            Assert.NotEqual(System.Net.HttpStatusCode.OK, status);
            Assert.DoesNotContain("SECRET", text, StringComparison.Ordinal);
            foreach (string path in new[] { "/", "/api/v1/status", "/api/v1/history", "/metrics" })
            {
                Assert.DoesNotContain("SECRET", await admin.GetStringAsync(path), StringComparison.Ordinal);
            }
        }

        Assert.True(server.HasLogged("configuration reload failed"));
        Assert.DoesNotContain("SECRET", server.Process.Output, StringComparison.Ordinal);
    }

    [Fact, Trait("Category", "Slow")]
    public async Task A_pipe_in_the_files_place_costs_no_thread_per_reload()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync("pushgateway:\n  servers: [127.0.0.1:9101]\n  health_check: { enabled: false }\n");
        await server.WaitUntilReadyAsync();
        string good = await File.ReadAllTextAsync(server.ConfigFile);
        File.Delete(server.ConfigFile);
        await using (ChildProcess mkfifo = await ChildProcess.StartAsync("mkfifo", "mkfifo", [server.ConfigFile])) await mkfifo.WaitForExitAsync(TimeSpan.FromSeconds(10));

        for (int i = 0; i < 3; i++)
        {
            (System.Net.HttpStatusCode status, string text) = await server.ReloadAsync();
            Assert.NotEqual(System.Net.HttpStatusCode.OK, status);
            Assert.Contains("could not be read to its end within 10 s; if it is a pipe", text, StringComparison.Ordinal);
            Assert.Contains("could not be read", (await server.StatusAsync()).GetProperty("config_file").GetProperty("error").GetString(), StringComparison.Ordinal);
            // A thread that waits in open(2) for a writer sleeps in this kernel function. The runtime's debugger has its own pipe.
            string[] waits =
            [
                .. Directory.GetDirectories($"/proc/{server.Process.Pid}/task")
                    .Where(task => !File.ReadAllText(task + "/comm").StartsWith(".NET Debug", StringComparison.Ordinal))
                    .Select(task => File.ReadAllText(task + "/wchan")),
            ];
            Assert.DoesNotContain(waits, wait => wait.Contains("fifo", StringComparison.Ordinal) || wait.Contains("wait_for_partner", StringComparison.Ordinal));
        }

        // With a writer, it is read, and a warning says what to do instead.
        Task written = Task.Run(() => File.WriteAllText(server.ConfigFile, good));
        Assert.Equal(System.Net.HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await written.WaitAsync(TimeSpan.FromSeconds(30));
        await server.WaitForLogAsync(TimeSpan.FromSeconds(30), "is a named pipe, which is deprecated");
        Assert.Equal("unknown", (await server.StatusAsync()).GetProperty("config_file").GetProperty("state").GetString());

        File.Delete(server.ConfigFile);
        await File.WriteAllTextAsync(server.ConfigFile, good);
        Assert.Equal(System.Net.HttpStatusCode.OK, (await server.ReloadAsync()).Status);
    }

    [Fact, Trait("Smoke", "true")]
    public async Task A_command_that_cannot_write_says_so_by_its_exit_code_and_does_not_crash()
    {
        const string Script = """
            printf 'pushgateway: { servers: [a, b] }' >"$1/c.yml"
            printf 'nonsense: 1' >"$1/bad.yml"
            said=$("$2" --version 2>&1 >/dev/full); [ $? = 1 ] || exit 11
            [[ $said = 'dynamic-sharding: error: cannot write to standard output: '* ]] || { echo "$said"; exit 12; }
            "$2" --help >/dev/full 2>/dev/full; [ $? = 1 ] || exit 13
            "$2" check-config "$1/c.yml" >&-; [ $? = 1 ] || exit 14
            "$2" check-config "$1/bad.yml" 2>/dev/full; [ $? = 1 ] || exit 15
            "$2" --no-such-flag 2>&-; [ $? = 1 ] || exit 16
            "$2" lookup --gateways a,b /metrics/job/a >&- 2>&-; [ $? = 1 ] || exit 17
            "$2" --version | true; [ ${PIPESTATUS[0]} -lt 2 ] || exit 18
            """;
        using TemporaryFolder folder = new();
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        string directory = Path.GetDirectoryName(folder.Write("unused", ""))!;
        await using ChildProcess run = await ChildProcess.StartAsync("bash", "bash", ["-c", Script, "bash", directory, Binary.Path], environment);
        int? exitCode = await run.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.True(exitCode == 0, $"exit code {exitCode}\n{run.Output}");
    }

    public static TheoryData<string, string, string> BrokenFiles => new()
    {
        // what is broken, the file, and the message: line:column, then what it must name
        { "an unknown key", "htp_listen_addr: :9292\npushgateway: { servers: [a] }", "1:1 htp_listen_addr" },
        { "an unknown key further down", "pushgateway:\n  servers: [a]\n  prot: 9091", "3:3 prot" },
        { "a word where a number belongs", "pushgateway:\n  servers: [a]\n  port: ninety", "3:9 pushgateway.port" },
        { "a port out of range", "pushgateway:\n  servers: [a]\n  port: 70000", "3:9 from 1 to 65535" },
        { "a duration with a space", "pushgateway:\n  servers: [a]\n  health_check:\n    interval: 5 sec", "4:15 pushgateway.health_check.interval" },
        { "an address without a port", "pushgateway: { servers: [a] }\nhttp_listen_addr: localhost", "2:19 http_listen_addr" },
        { "a server with a bad port", "pushgateway:\n  servers:\n    - 127.0.0.1\n    - 127.0.0.2:99999", "4:7 pushgateway.servers: has a bad port" },
        { "a word where a list belongs", "pushgateway:\n  servers: 127.0.0.1", "2:12 servers" },
        { "a key given twice", "pushgateway:\n  servers: [a]\n  port: 9091\n  port: 9092", "4:3 port" },
        { "an unknown discovery", "pushgateway: { servers: [a] }\ndiscovery: zookeeper", "2:12 discovery" },
        { "a ratio above one", "pushgateway: { servers: [a] }\nmembership:\n  mass_loss_ratio: 1.5", "3:20 membership.mass_loss_ratio" },
        { "a quote that does not end", "pushgateway:\n  servers: [\"a]\n", "3:1 YAML" },
        { "nobody to push to", "discovery: static", "1:1 servers" },
    };

    [Theory]
    [MemberData(nameof(BrokenFiles))]
    public async Task A_broken_file_is_refused_with_line_and_column(string what, string text, string expected)
    {
        (int exitCode, string said, string path) = await StartWithAsync(text);

        Assert.True(exitCode == 2, $"{what}: exit code {exitCode}\n{said}");
        string[] words = expected.Split(' ', 2);
        string message = Assert.Single(said.Split('\n'), line => line.Contains($"{path}:", StringComparison.Ordinal));
        message = message[message.IndexOf(path, StringComparison.Ordinal)..];
        Assert.StartsWith($"{path}:{words[0]}: ", message, StringComparison.Ordinal);
        Assert.Contains(words[1], message[(path.Length + words[0].Length)..], StringComparison.Ordinal);
    }

    [Fact, Trait("Smoke", "true")]
    public async Task All_errors_of_a_file_are_said_at_once()
    {
        (int exitCode, string said, string path) = await StartWithAsync(
            "http_listen_addr: nowhere\npushgateway:\n  servers: [a]\n  port: ninety\n  colour: red\nlog:\n  level: loud\n");

        Assert.Equal(2, exitCode);
        IEnumerable<string> places = Regex.Matches(said, Regex.Escape(path) + @":(\d+:\d+): ").Select(match => match.Groups[1].Value);
        Assert.Equal(["1:19", "4:9", "5:3", "7:10"], places);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_named()
    {
        string path = Path.Combine(Path.GetTempPath(), "no-such-folder", "dynamic-sharding.yml");
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("--config.file", path);
        Assert.Equal(2, exitCode);
        Assert.Contains(path, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_authority_is_exit_code_2_at_start_and_a_failed_reload_later()
    {
        using TemporaryFolder folder = new();
        string authority = folder.Write("ca.pem", "no certificate\n");
        const string Good = "pushgateway:\n  servers: [127.0.0.1]\n  scheme: https\n  health_check: { enabled: false }\n";
        string bad = $"{Good}  tls: {{ ca_file: {authority} }}\n";
        string complaint = "pushgateway.tls.ca_file: holds no certificate";

        (int exitCode, string said, _) = await StartWithAsync(bad);
        Assert.Equal(2, exitCode);
        Assert.Contains(complaint, said, StringComparison.Ordinal);

        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Good);
        server.WriteConfig(bad);
        (HttpStatusCode status, string text) = await server.ReloadAsync();
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(complaint, text, StringComparison.Ordinal);
        Assert.Equal("127.0.0.1:9091", await server.OwnerOfAsync("/metrics/job/a"));
    }

    private static async Task<(int ExitCode, string Said, string Path)> StartWithAsync(string text)
    {
        using TemporaryFolder folder = new();
        string path = folder.Write("broken.yml", text);
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("--config.file", path);
        return (exitCode, said, path);
    }
}
