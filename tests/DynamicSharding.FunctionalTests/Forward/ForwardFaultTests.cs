using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Faults;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Many failures: none is reported as a success, and none leaks.</summary>
[Collection(AloneGroup.Name)]
public sealed class ForwardFaultTests(ITestOutputHelper output) : FaultTest(output)
{
    [Fact]
    public async Task A_gateway_killed_under_100_forwards_answers_none_of_them_and_the_others_all()
    {
        const int InFlight = 100;
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, Addresses(gateways));
        PushgatewayProcess victim = gateways[1];
        string[] lost = await server.PathsOfAsync(victim.Address, InFlight);
        string[] safe = [.. await server.PathsOfAsync(gateways[0].Address, 30), .. await server.PathsOfAsync(gateways[2].Address, 30)];

        victim.Process.Suspend();
        Task<string>[] doomed = [.. lost.Select(path => server.ExchangeAsync(ForwardServer.Put(path)))];
        await server.WaitForInFlightAsync(victim.Address, InFlight);
        Task<string>[] others = [.. safe.Select(path => server.ExchangeAsync(ForwardServer.Put(path)))];
        victim.Process.Kill();

        foreach (string reply in await Task.WhenAll(doomed))
        {
            Assert.Equal(502, ForwardServer.StatusOf(reply));
            Assert.Contains($"pushgateway {victim.Address} ", reply, StringComparison.Ordinal);
        }

        Assert.All(await Task.WhenAll(others), reply => Assert.Equal(200, ForwardServer.StatusOf(reply)));
        IEnumerable<string> there = (await gateways[0].GroupsAsync()).Concat(await gateways[2].GroupsAsync());
        Assert.Equal(safe.Select(path => "job=" + path["/metrics/job/".Length..]).Order(), there.Order());

        // It is back: no push fails because of the connections that died with it.
        PushgatewayProcess back = await TestPeers.PushgatewayAsync(victim.Address);
        foreach (string path in lost) Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put(path))));
        Assert.Equal(InFlight, (await back.GroupsAsync()).Length);
    }

    /// <summary>Graceful restarts: connections end at any moment, and the port is closed for a while.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task While_a_gateway_restarts_no_push_is_a_success_that_is_not_there()
    {
        string address = FreePort.NextAddress();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [address]);
        int pushed = 0;
        int failed = 0;
        for (int round = 0; round < 5; round++)
        {
            PushgatewayProcess gateway = await PushgatewayProcess.StartAsync(address);
            HashSet<string> succeeded = [];
            for (int i = 0; i < 400; i++)
            {
                string job = string.Create(CultureInfo.InvariantCulture, $"r{round}-{i}");
                int status = ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/" + job)));
                if (status == 200) succeeded.Add("job=" + job);
                else Assert.Equal(502, status);
                pushed++;
            }

            // All of these arrived: the gateway was up all the time.
            Assert.Equal(400, succeeded.Count);
            Assert.Equal(succeeded.Order(), (await gateway.GroupsAsync()).Order());
            await gateway.DisposeAsync();
            for (int i = 0; i < 20; i++)
            {
                Assert.Equal(502, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/gone"))));
                failed++;
            }
        }

        Measured("pushes over five lives of one gateway", $"{pushed} taken while it was up, {failed} refused while it was down");
    }

    [Fact, Trait("Category", "Slow")]
    public async Task Ten_thousand_failures_leave_no_descriptor_and_no_memory_behind()
    {
        const int Failures = 10_000;
        await using var half = new FaultyGateway();
        await using var closing = new FaultyGateway();
        await using var silent = new FaultyGateway();
        await half.BeAsync(GatewayFault.HalfAnAnswer);
        await closing.BeAsync(GatewayFault.NoAnswer);
        await silent.BeAsync(GatewayFault.Silent);
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [half.Address, closing.Address, silent.Address, FreePort.NextAddress()], more: "forward: { timeout: 20ms }");

        // The first round fills what stays (pools, compiled code) and triggers a first collection.
        await FailAsync(server, Failures / 2);
        await FinishAsync(server);
        int descriptors = Descriptors(server);
        double before = server.Process.Memory().Now;
        await FailAsync(server, Failures);
        await FinishAsync(server);

        double after = server.Process.Memory().Now;
        Measured("10,000 failed forwards", $"{descriptors} descriptors before, {Descriptors(server)} after; {before:0.0} MiB before, {after:0.0} MiB after");
        Assert.InRange(Descriptors(server), 0, descriptors + 10);

        // A leak of two kilobytes per failure would exceed this; the JIT keeps compiling for a while.
        Assert.InRange(after, 0, before + 16);
    }

    [Fact, Trait("Category", "Slow"), Trait("Smoke", "true")]
    public async Task A_push_of_200_MiB_in_chunks_is_streamed()
    {
        const long Length = 200L * 1024 * 1024;
        long received = 0;
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            await new RequestReader(socket, "").ReadHeadAsync(cancellation);
            byte[] buffer = new byte[256 * 1024];
            byte[] end = "\r\n0\r\n\r\n"u8.ToArray();
            byte[] tail = [];
            while (await socket.ReceiveAsync(buffer.AsMemory(), cancellation) is > 0 and int count)
            {
                Interlocked.Add(ref received, count);
                tail = [.. tail.Concat(buffer[Math.Max(0, count - end.Length)..count]).TakeLast(end.Length)];
                if (tail.AsSpan().SequenceEqual(end)) await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
            }
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { max_body_bytes: 1GiB }");

        // Compiled code, pools and the first heap budget are not part of the cost.
        Assert.Equal(200, await PushChunksAsync(server.Address, Length / 10));
        server.Process.ResetPeakMemory();
        double before = server.Process.Memory().Now;

        Assert.Equal(200, await PushChunksAsync(server.Address, Length));

        Assert.True(received >= Length, $"{received} bytes arrived");
        double peak = server.Process.Memory().Peak;
        Measured("a push of 200 MiB in chunks", $"{before:0.0} MiB before, {peak:0.0} MiB at most, during it");

        // The bound is that of the shipped binary. A build for the runtime keeps compiling hot code meanwhile.
        Assert.InRange(peak - before, -1000, Binary.IsNativeAot ? 16 : 32);
    }

    private static async Task<int> PushChunksAsync(string address, long length)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(System.Net.IPEndPoint.Parse(address));
        await socket.SendAsync("PUT /metrics/job/large HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray());
        byte[] chunk = [.. "10000\r\n"u8, .. new byte[0x10000], .. "\r\n"u8];
        for (long sent = 0; sent < length; sent += 0x10000)
        {
            for (int at = 0; at < chunk.Length;) at += await socket.SendAsync(chunk.AsMemory(at));
        }

        await socket.SendAsync("0\r\n\r\n"u8.ToArray());
        byte[] reply = new byte[1024];
        int count = await socket.ReceiveAsync(reply);
        return ForwardServer.StatusOf(Encoding.Latin1.GetString(reply, 0, count));
    }

    private static async Task FailAsync(ForwardServer server, int pushes)
    {
        const int Workers = 40;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            using RawHttp connection = await RawHttp.ConnectAsync(server.Address);
            for (int i = worker; i < pushes; i += Workers)
            {
                await connection.SendAsync(ForwardServer.Put(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{i}")));
                Assert.InRange(ForwardServer.StatusOf(await connection.ReadReplyAsync()), 502, 504);
            }
        })));
    }

    /// <summary>Ended connections are closed by both sides a moment later.</summary>
    private static async Task FinishAsync(ForwardServer server)
    {
        int last = int.MaxValue;
        await Eventually.TrueAsync(
            async () =>
            {
                await Task.Delay(500);
                int now = Descriptors(server);
                bool settled = now >= last;
                last = now;
                return settled;
            },
            Limit,
            () => "descriptors do not settle");
    }

    private static int Descriptors(ForwardServer server) =>
        Directory.EnumerateFileSystemEntries(string.Create(CultureInfo.InvariantCulture, $"/proc/{server.Process.Process.Pid}/fd")).Count();
}
