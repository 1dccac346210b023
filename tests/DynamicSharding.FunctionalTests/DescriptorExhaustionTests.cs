using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// Out of file descriptors, open connections are served, and the server recovers by itself. This tests the shipped NativeAOT binary only:
/// the runtime's thread pool needs descriptors for each new thread and ends the process without them.
/// </summary>
[Trait("Category", "NativeAot")]
public sealed class DescriptorExhaustionTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    [Fact]
    public async Task Ten_seconds_without_descriptors_lose_no_connection()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\nlimits: { max_connections: 1000 }\n");
        await server.WaitUntilReadyAsync();
        List<RawHttp> existing = [];
        for (int i = 0; i < 20; i++) existing.Add(await AskAsync(await RawHttp.ConnectAsync(server.Address)));

        await LimitDescriptorsAsync(server, Directory.GetFiles($"/proc/{server.Process.Pid}/fd").Length);
        List<RawHttp> waiting = [];
        for (int i = 0; i < 20; i++) waiting.Add(await RawHttp.ConnectAsync(server.Address));
        foreach (RawHttp connection in waiting) await connection.SendAsync(Put);

        TimeSpan cpuBefore = ProcessorTime(server);
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(10))
        {
            foreach (RawHttp connection in existing) await AskAsync(connection);
            await Task.Delay(100);
        }

        TimeSpan cpu = ProcessorTime(server) - cpuBefore;
        Assert.True(cpu < TimeSpan.FromSeconds(5), $"it spins on its accept queue: {cpu.TotalSeconds:0.0} s of processor time in 10 s");
        Assert.Contains("accepting connections failed", server.Process.Output, StringComparison.Ordinal);

        await LimitDescriptorsAsync(server, 4096);
        foreach (RawHttp connection in waiting) Assert.StartsWith("HTTP/1.1 307 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
        foreach (RawHttp connection in existing) await AskAsync(connection);
        using (RawHttp fresh = await RawHttp.ConnectAsync(server.Address)) await AskAsync(fresh);
        foreach (RawHttp connection in existing.Concat(waiting)) connection.Dispose();
    }

    [Fact]
    public async Task Too_few_descriptors_at_the_start_are_exit_code_1_and_a_sentence()
    {
        // From too few for anything to enough, so that every step of the start fails once.
        const string Script = """
            printf 'pushgateway: { servers: ["127.0.0.1:9091"], health_check: { enabled: false } }\nshutdown: { drain_delay: 0s }
            http_listen_addr: 127.0.0.1:0\nadmin_listen_addr: 127.0.0.1:0\nforward_listen_addr: 127.0.0.1:0\n' >"$1/c.yml"
            for n in $(seq 4 120); do
                (ulimit -n $n; exec "$2" --config.file "$1/c.yml") >"$1/out" 2>&1 & pid=$!
                for i in $(seq 100); do
                    kill -0 $pid 2>/dev/null || break
                    grep -q 'msg=ready' "$1/out" && { kill -TERM $pid; break; }
                    sleep 0.05
                done
                wait $pid; code=$?
                echo "$n: exit code $code: $(head -c 300 "$1/out" | tail -1)"
                [ $code = 1 ] || [ $code = 0 ] || { cat "$1/out"; exit 3; }
                [ $code = 0 ] || grep -qi 'could not start\|startup failed\|too many open files\|too few file descriptors' "$1/out" || { cat "$1/out"; exit 4; }
                [ $code = 0 ] && exit 0
            done
            exit 5
            """;
        using TemporaryFolder folder = new();
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        string directory = Path.GetDirectoryName(folder.Write("unused", ""))!;
        await using ChildProcess run = await ChildProcess.StartAsync("bash", "bash", ["-c", Script, "bash", directory, Binary.Path], environment);
        Assert.True(await run.WaitForExitAsync(TimeSpan.FromSeconds(300)) == 0, run.Output);
    }

    private static async Task<RawHttp> AskAsync(RawHttp connection)
    {
        await connection.SendAsync(Put);
        Assert.StartsWith("HTTP/1.1 307 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
        return connection;
    }

    private static async Task LimitDescriptorsAsync(DynamicShardingProcess server, int count)
    {
        string limit = string.Create(CultureInfo.InvariantCulture, $"--nofile={count}:");
        string pid = server.Process.Pid.ToString(CultureInfo.InvariantCulture);
        await using ChildProcess prlimit = await ChildProcess.StartAsync("prlimit", "prlimit", ["--pid", pid, limit]);
        Assert.True(await prlimit.WaitForExitAsync(TimeSpan.FromSeconds(10)) == 0, prlimit.Output);
    }

    private static TimeSpan ProcessorTime(DynamicShardingProcess server)
    {
        using Process process = Process.GetProcessById(server.Process.Pid);
        return process.TotalProcessorTime;
    }
}
