using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Whoever asks the admin listener takes no time from pushes: the kernel says which thread of the process did the work.</summary>
public sealed class AdminThreadsTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact]
    public async Task Admin_requests_do_not_run_on_the_threads_of_the_data_plane()
    {
        const int Enough = 60;
        DynamicShardingProcess server = await Cast.DynamicShardingAsync("""
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

    /// <summary>Time on the processor, in hundredths of a second, of the threads named loop-* and of all others.</summary>
    private static (long Loops, long Others) Ticks(int pid)
    {
        long loops = 0, others = 0;
        int count = 0;
        foreach (string thread in Directory.EnumerateDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/task")))
        {
            string stat;
            try
            {
                stat = File.ReadAllText(Path.Combine(thread, "stat"));
            }
            catch (IOException)
            {
                continue; // it ended meanwhile
            }

            // The name is in parentheses and may hold anything; utime and stime are the 12th and 13th field after it.
            int end = stat.LastIndexOf(')');
            string[] fields = stat[(end + 2)..].Split(' ');
            long ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
            if (stat[..end].Contains("(loop-", StringComparison.Ordinal))
            {
                loops += ticks;
                count++;
            }
            else
            {
                others += ticks;
            }
        }

        Assert.Equal(Environment.ProcessorCount, count);
        return (loops, others);
    }
}
