using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The event loops' threads only serve pushes and have priority over the others, by the kernel's figures.</summary>
public sealed class DataPlaneThreadsTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task Admin_requests_do_not_run_on_the_threads_of_the_data_plane()
    {
        const int Enough = 60;
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync("""
            pushgateway:
              servers: [127.0.0.1:9091, 127.0.0.2:9091, 127.0.0.3:9091]
              health_check: { enabled: false }
            """);
        await server.WaitUntilReadyAsync();
        await server.OwnerOfAsync("/metrics/job/a");
        (long Loops, long Others) before = Ticks(server.Process.Pid), after = before;
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        await Eventually.TrueAsync(
            async () =>
            {
                for (int i = 0; i < 20; i++)
                    foreach (string path in (string[])["?q=job%3Da&add=127.0.0.4", "metrics", "api/v1/status"]) await admin.GetStringAsync(path);
                after = Ticks(server.Process.Pid);
                return after.Others - before.Others >= Enough;
            },
            TimeSpan.FromSeconds(60),
            () => $"{Enough} ticks of the processor, from {before} to {after}");
        Output.WriteLine($"ticks of the loops {after.Loops - before.Loops}, of the others {after.Others - before.Others}");
        Assert.InRange(after.Loops - before.Loops, 0, Enough / 10);
    }

    [Fact, Trait("Smoke", "true")]
    public async Task Every_other_thread_stands_back_for_the_loops()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync("pushgateway: { servers: [127.0.0.1, 127.0.0.2], health_check: { enabled: false } }");
        await server.WaitUntilReadyAsync();
        ThreadStat[] threads = [];
        await Eventually.TrueAsync(
            () =>
            {
                threads = Threads(server.Process.Pid);
                return Task.FromResult(threads.All(thread => thread.Niceness == (thread.IsLoop ? 0 : 5)));
            },
            TimeSpan.FromSeconds(20),
            () => "niceness 0 of the loops and 5 of the others: " + string.Join(", ", threads.Select(thread => $"{thread.Name} {thread.Niceness}")));
        Assert.Equal(Environment.ProcessorCount, threads.Count(thread => thread.IsLoop));
    }

    /// <summary>CPU time, in hundredths of a second, of the threads named loop-* and of all others.</summary>
    private static (long Loops, long Others) Ticks(int pid)
    {
        ThreadStat[] threads = Threads(pid);
        Assert.Equal(Environment.ProcessorCount, threads.Count(thread => thread.IsLoop));
        return (threads.Where(thread => thread.IsLoop).Sum(thread => thread.Ticks), threads.Where(thread => !thread.IsLoop).Sum(thread => thread.Ticks));
    }

    private static ThreadStat[] Threads(int pid)
    {
        List<ThreadStat> threads = [];
        foreach (string thread in Directory.EnumerateDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/task")))
        {
            string stat;
            try
            {
                stat = File.ReadAllText(Path.Combine(thread, "stat"));
            }
            catch (IOException)
            {
                continue; // the thread has ended
            }

            // proc(5): the name is in parentheses and may contain anything; then utime and stime are fields 12 and 13, nice is 17.
            int end = stat.LastIndexOf(')');
            string[] fields = stat[(end + 2)..].Split(' ');
            threads.Add(new ThreadStat(stat[(stat.IndexOf('(') + 1)..end], Number(fields[11]) + Number(fields[12]), Number(fields[16])));
        }

        return [.. threads];
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private sealed record ThreadStat(string Name, long Ticks, long Niceness)
    {
        public bool IsLoop => Name.StartsWith("loop-", StringComparison.Ordinal);
    }
}
