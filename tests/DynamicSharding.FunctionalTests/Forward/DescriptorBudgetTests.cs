using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>All listeners share the process's descriptors: the most that clients can use leaves the admin listener its reserve. Not
/// fewer than 512: a build that needs the .NET runtime holds close to 200 of them for its libraries.</summary>
[Trait("Category", "Slow")]
public sealed class DescriptorBudgetTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string NoProbes = "  health_check: { enabled: false }";

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
        await using ChildProcess process = await StartAsync(folder, ForwardServer.Config(data, admin, forward, [silent.Address], NoProbes, ""), data, descriptors);

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

    /// <summary>
    /// Many clients push to one gateway after the other, all at once, and each gateway keeps its connections: those to the gateways before make room,
    /// so that no push is without a descriptor.
    /// </summary>
    [Fact]
    public async Task Idle_connections_to_gateways_make_room_for_those_to_others()
    {
        const int Descriptors = 512, Clients = 120, Gateways = 5;

        // A half of what the reserve leaves. A loop with more than its half of the clients has as many for a moment.
        const int Share = Descriptors / 4, MostAtOnce = (Share / 2) + Clients;
        int here = 0, open = 0, most = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Func<int> used = static () => 0;
        LoopbackServer[] gateways = [.. Enumerable.Range(0, Gateways).Select(_ => new LoopbackServer(async (socket, cancellation) =>
        {
            Interlocked.Increment(ref open);
            try
            {
                var reader = new RequestReader(socket, "");
                while (await reader.ReadAsync(cancellation) is not null)
                {
                    Task gathered = all.Task;
                    if (Interlocked.Increment(ref here) == Clients)
                    {
                        most = Math.Max(most, used());
                        all.SetResult();
                    }

                    await gathered.WaitAsync(cancellation);
                    await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
                }
            }
            finally
            {
                Interlocked.Decrement(ref open);
            }
        }))];
        string data = FreePort.NextAddress(), admin = FreePort.NextAddress(), forward = FreePort.NextAddress();
        using var folder = new TemporaryFolder();
        string config = ForwardServer.Config(data, admin, forward, gateways.Select(static gateway => gateway.Address), NoProbes, "");
        await using ChildProcess process = await StartAsync(folder, config, data, Descriptors);
        used = () => Directory.GetFiles($"/proc/{process.Pid}/fd").Length;
        using HttpClient redirects = LoopbackHttp.Client(data, followRedirects: false);
        string[] paths = new string[Gateways];
        for (int i = 0; i < Gateways; i++) paths[i] = await PathOfAsync(redirects, gateways[i].Address);
        int before = used();
        RawHttp[] clients = new RawHttp[Clients];
        for (int i = 0; i < Clients; i++) clients[i] = await RawHttp.ConnectAsync(forward);

        foreach (string path in paths)
        {
            here = 0;
            all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            foreach (RawHttp client in clients) await client.SendAsync(ForwardServer.Put(path));
            foreach (RawHttp client in clients) Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync(limit: TimeSpan.FromSeconds(30))));
        }

        Output.WriteLine($"{before} descriptors before {Clients} clients, {most} at most with their pushes to {Gateways} gateways");
        Assert.InRange(most - before, 2 * Clients, Clients + MostAtOnce);
        await Eventually.TrueAsync(() => Task.FromResult(Volatile.Read(ref open) <= Share), TimeSpan.FromSeconds(20), () => $"{open} connections to gateways");
        Assert.True(open > Share / 4, $"{open} connections to gateways are kept");
        foreach (RawHttp client in clients) client.Dispose();
        foreach (LoopbackServer gateway in gateways) await gateway.DisposeAsync();
    }

    private static async Task<string> PathOfAsync(HttpClient redirects, string gateway)
    {
        for (int i = 0; ; i++)
        {
            string path = string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{i}");
            using var request = new HttpRequestMessage(HttpMethod.Put, path);
            using HttpResponseMessage reply = await redirects.SendAsync(request);
            if (reply.Headers.Location!.Authority == gateway) return path;
        }
    }

    private static async Task<ChildProcess> StartAsync(TemporaryFolder folder, string config, string data, int descriptors)
    {
        string limit = string.Create(CultureInfo.InvariantCulture, $"--nofile={descriptors}:{descriptors}");
        ChildProcess process = await ChildProcess.StartAsync(
            "dynamic-sharding " + data,
            "prlimit",
            [limit, Binary.Path, "--config.file", folder.Write("edge.yml", config)],
            new Dictionary<string, string> { ["DOTNET_ROOT"] = Binary.DotnetRoot });
        using HttpClient pushes = LoopbackHttp.Client(data, followRedirects: false);
        await process.WaitUntilReadyAsync(
            async () => (await pushes.GetAsync("-/ready")).StatusCode == HttpStatusCode.OK, TimeSpan.FromSeconds(30));
        return process;
    }
}
