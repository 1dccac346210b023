using System.Diagnostics;
using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>All listeners share the process's descriptors: the most that clients can use leaves the admin listener its reserve. Not
/// fewer than 512: a build that needs the .NET runtime holds close to 200 of them for its libraries.</summary>
[Trait("Category", "Slow")]
public sealed class DescriptorBudgetTests(ITestOutputHelper output) : PeerTest(output)
{
    [Theory]
    [InlineData(512)]
    [InlineData(1024)]
    public async Task Floods_of_both_data_listeners_leave_the_admin_listener_its_descriptors(int descriptors)
    {
        await using var silent = LoopbackServer.Silent();
        string data = FreePort.NextAddress();
        string admin = FreePort.NextAddress();
        string forward = FreePort.NextAddress();
        using var folder = new TemporaryFolder();
        string file = folder.Write("edge.yml", ForwardServer.Config(data, admin, forward, [silent.Address], "  health_check: { enabled: false }", ""));
        string limit = string.Create(CultureInfo.InvariantCulture, $"--nofile={descriptors}:{descriptors}");
        await using ChildProcess process = await ChildProcess.StartAsync(
            "dynamic-sharding " + data,
            "prlimit",
            [limit, Binary.Path, "--config.file", file],
            new Dictionary<string, string> { ["DOTNET_ROOT"] = Binary.DotnetRoot });
        using HttpClient operators = LoopbackHttp.Client(admin);
        using HttpClient pushes = LoopbackHttp.Client(data, followRedirects: false);
        await process.WaitUntilReadyAsync(
            async () => (await pushes.GetAsync("-/ready")).StatusCode == HttpStatusCode.OK, TimeSpan.FromSeconds(30));

        List<RawHttp> clients = [];
        for (int i = 0; i < descriptors; i++)
        {
            clients.Add(await RawHttp.ConnectAsync(data));
            RawHttp push = await RawHttp.ConnectAsync(forward);
            clients.Add(push);
            await Record.ExceptionAsync(() => push.SendAsync(ForwardServer.Put("/metrics/job/a")));
        }

        using Process measured = Process.GetProcessById(process.Pid);
        TimeSpan before = measured.TotalProcessorTime;
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(5))
        {
            // A new connection each time.
            using HttpClient scrape = LoopbackHttp.Client(admin);
            string page = "";
            Exception? error = await Record.ExceptionAsync(async () => page = await scrape.GetStringAsync("metrics"));
            Assert.True(error is null, $"{error?.Message}\n{process.Output}");
            Assert.Contains("process_open_fds", page, StringComparison.Ordinal);
            await Task.Delay(500);
        }

        measured.Refresh();
        TimeSpan used = measured.TotalProcessorTime - before;
        int open = Directory.GetFiles($"/proc/{process.Pid}/fd").Length;
        Output.WriteLine($"{open} of {descriptors} descriptors, {used.TotalSeconds:0.00} s of processor time in 5 s");
        Assert.True(open < descriptors - 32, $"{open} of {descriptors} descriptors are taken");
        Assert.True(used < TimeSpan.FromSeconds(2.5), $"it spins: {used.TotalSeconds:0.00} s of processor time in 5 s");
        Assert.DoesNotContain("cannot accept connections for now", process.Output, StringComparison.Ordinal);
        foreach (RawHttp client in clients) client.Dispose();
    }
}
