using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// Out of file descriptors: whoever is connected is served, and the server recovers without help. Of the NativeAOT file, the one that ships:
/// the runtime's own thread pool takes descriptors for each new thread, and ends the process without them.
/// </summary>
[Trait("Category", "NativeAot")]
[Collection(AloneGroup.Name)]
public sealed class DescriptorExhaustionTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    [Fact]
    public async Task Ten_seconds_without_descriptors_lose_no_connection()
    {
        DynamicShardingProcess server = await Cast.DynamicShardingAsync(
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
        Assert.Contains("cannot accept connections for now", server.Process.Output, StringComparison.Ordinal);

        await LimitDescriptorsAsync(server, 4096);
        foreach (RawHttp connection in waiting) Assert.StartsWith("HTTP/1.1 307 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
        foreach (RawHttp connection in existing) await AskAsync(connection);
        using (RawHttp fresh = await RawHttp.ConnectAsync(server.Address)) await AskAsync(fresh);
        foreach (RawHttp connection in existing.Concat(waiting)) connection.Dispose();
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
