using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The first moments of the process: signals before the server exists, and few file descriptors.</summary>
public sealed class StartupTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static readonly Dictionary<string, string> Environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>A build for the runtime takes tenths of a second to load its assemblies. The parser of the command line is one of the first.</summary>
    [Fact]
    public async Task SIGHUP_while_the_command_line_is_read_reloads_the_configuration_later()
    {
        await using ChildProcess process = await StartAsync(Binary.Path, "--config.file", WriteConfig());
        string maps = $"/proc/{process.Pid}/maps";
        while (!Binary.IsNativeAot && !(await File.ReadAllTextAsync(maps)).Contains("System.CommandLine.dll", StringComparison.Ordinal)) await Task.Delay(1);
        if (Binary.IsNativeAot) await WaitForHangupHandlerAsync(process);

        process.Hangup();

        await WaitForLogAsync(process, "msg=\"configuration reloaded\"");
        process.Terminate();
        Assert.Equal(0, await process.WaitForExitAsync(Limit));
    }

    [Fact]
    public async Task A_reload_takes_the_flags_for_no_change_of_the_file()
    {
        await using ChildProcess process = await StartAsync(Binary.Path, "--config.file", WriteConfig(), "--log.format", "json", "--log.level", "debug");
        await WaitForLogAsync(process, "\"msg\":\"ready\"");
        process.Hangup();
        await WaitForLogAsync(process, "\"msg\":\"configuration reloaded\",\"changed\":\"\"");
        Assert.DoesNotContain("restart", process.Output, StringComparison.Ordinal);
    }

    /// <summary>The configuration file is a pipe that nobody writes to.</summary>
    [Fact]
    public async Task SIGTERM_while_the_configuration_is_read_is_exit_code_0_and_a_log_line()
    {
        await using ChildProcess process = await StartAsync("bash", "-c", "exec \"$0\" --config.file <(exec sleep 15 2>/dev/null)", Binary.Path);
        await WaitForHangupHandlerAsync(process);
        await Task.Delay(100);

        process.Terminate();

        // A read of a pipe gives up after ten seconds, with another exit code.
        Assert.Equal(0, await process.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        Assert.Contains("level=info msg=\"received signal, shutting down; a second signal stops immediately\" signal=SIGTERM", process.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("level=error", process.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(80)]
    [InlineData(100)]
    [InlineData(150)]
    public async Task Too_few_descriptors_are_exit_code_1_and_a_sentence(int descriptors)
    {
        int limit = Binary.IsNativeAot ? descriptors / 5 : descriptors;
        await using ChildProcess process = await StartAsync(
            "prlimit", string.Create(CultureInfo.InvariantCulture, $"--nofile={limit}:{limit}"), Binary.Path, "--config.file", WriteConfig());

        Assert.Equal(1, await process.WaitForExitAsync(Limit));
        Assert.Equal("dynamic-sharding: error: could not start: too few file descriptors; raise LimitNOFILE (ulimit -n)", process.Output.Trim());
    }

    [Fact]
    public async Task Idle_connections_before_the_first_request_leave_no_listener_dead()
    {
        await using var gateway = new RecordingGateway();
        string data = FreePort.NextAddress();
        string admin = FreePort.NextAddress();
        string forward = FreePort.NextAddress();
        string file = _folder.Write("edge.yml", ForwardServer.Config(data, admin, forward, [gateway.Address], "  health_check: { enabled: false }", ""));
        await using ChildProcess process = await StartAsync("prlimit", "--nofile=256:256", Binary.Path, "--config.file", file);
        await WaitForLogAsync(process, "msg=ready");

        List<RawHttp> idle = [];
        for (int i = 0; i < 200; i++)
        {
            idle.Add(await RawHttp.ConnectAsync(forward));
            idle.Add(await RawHttp.ConnectAsync(admin));
        }

        // Each listener gets its first requests while the descriptors are taken.
        foreach (RawHttp connection in idle) await Record.ExceptionAsync(() => connection.SendAsync("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"));
        await Task.Delay(TimeSpan.FromSeconds(1));
        foreach (RawHttp connection in idle) connection.Dispose();

        using HttpClient operators = LoopbackHttp.Client(admin);
        await process.WaitUntilReadyAsync(async () => (await operators.GetAsync("-/healthy")).IsSuccessStatusCode, Limit);
        await process.WaitUntilReadyAsync(
            async () => (await ForwardServer.ExchangeAsync(forward, ForwardServer.Put("/metrics/job/a"))).StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal),
            Limit);
    }

    private static Task<ChildProcess> StartAsync(string program, params string[] arguments) =>
        ChildProcess.StartAsync("dynamic-sharding", program, arguments, Environment);

    private static Task WaitForLogAsync(ChildProcess process, string text) =>
        process.WaitUntilReadyAsync(() => Task.FromResult(process.Output.Contains(text, StringComparison.Ordinal)), Limit);

    private static async Task WaitForHangupHandlerAsync(ChildProcess process)
    {
        long start = Stopwatch.GetTimestamp();
        while (!await CatchesHangupAsync(process))
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < Limit, "no handler of SIGHUP: is it ignored, as under nohup?");
            await Task.Delay(1);
        }
    }

    /// <returns>Whether the process has a handler for SIGHUP, the lowest bit.</returns>
    private static async Task<bool> CatchesHangupAsync(ChildProcess process)
    {
        string[] status = await File.ReadAllLinesAsync($"/proc/{process.Pid}/status");
        string caught = status.Single(line => line.StartsWith("SigCgt:", StringComparison.Ordinal));
        return "13579bdf".Contains(caught[^1], StringComparison.Ordinal);
    }

    private string WriteConfig() => _folder.Write("edge.yml", """
        http_listen_addr: 127.0.0.1:0
        admin_listen_addr: 127.0.0.1:0
        forward_listen_addr: 127.0.0.1:0
        pushgateway: { servers: ["127.0.0.1:9091"], health_check: { enabled: false } }
        shutdown: { drain_delay: 0s }

        """);
}
