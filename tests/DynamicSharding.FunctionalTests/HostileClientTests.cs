using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Thousands of clients that trickle or do not read: memory stays bounded, and other pushes are as fast as without them.</summary>
[Collection(AloneGroup.Name)]
public sealed class HostileClientTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>The least number of connected attackers during a measurement.</summary>
    private const int Hostile = 2000;

    /// <summary>More, because some are always being disconnected and reconnect.</summary>
    private const int Attackers = 2500;

    private const int PushesPerSample = 1500;
    private const string ConnectionsOpen = "dynamic_sharding_connections_open";

    /// <summary>
    /// The seconds after the start of the attack at which pushes are measured. The last sample is beyond the time limits of
    /// ten seconds, when the server ends connections and the attackers reconnect.
    /// </summary>
    private static readonly double[] Samples = [4, 8, 13];

    /// <summary>Attackers start spread over this time, so that their deadlines do not expire in one tick.</summary>
    private static readonly TimeSpan Muster = TimeSpan.FromSeconds(3);

    /// <summary>Latency below this never fails: a busy machine alone causes it.</summary>
    private const double FloorMilliseconds = 20;

    /// <summary>Growth of the process itself: compiled code, the heap budget.</summary>
    private const long Slack = 24L * 1048576;

    private static readonly byte[] Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n"u8.ToArray();
    private static readonly byte[] ManyPuts = [.. Enumerable.Repeat(Put, 2000).SelectMany(bytes => bytes)];

    [Fact]
    public Task Slowloris() => AttackAsync(
        bytesPerClient: 8 * 1024,
        countsThoseCutOff: "dynamic_sharding_rejected_requests_total{reason=\"header_timeout\"}",
        static async (socket, cancellation) =>
        {
            // It notices the end at once, and reconnects.
            Task over = socket.ReceiveAsync(new byte[1024], cancellation).AsTask();
            foreach (byte b in "PUT /metrics/job/slow HTTP/1.1\r\nHost: edge.test\r\nX: abcdefghijklmnopqrstuvwxyz"u8.ToArray())
            {
                await socket.SendAsync(new byte[] { b }, cancellation);
                if (await Task.WhenAny(over, Task.Delay(TimeSpan.FromSeconds(5), cancellation)) == over) return;
            }
        });

    [Fact]
    public Task Readers_that_never_read() => AttackAsync(
        bytesPerClient: (16 + 64) * 1024, // of requests and of responses: docs/configuration.md, limits
        countsThoseCutOff: "dynamic_sharding_connections_closed_total{reason=\"write_timeout\"}",
        static async (socket, cancellation) =>
        {
            while (true) await socket.SendAsync(ManyPuts, cancellation);
        });

    private async Task AttackAsync(long bytesPerClient, string countsThoseCutOff, Func<Socket, CancellationToken, Task> attack)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\nlimits: { max_connections: 6000 }\n");
        await server.WaitUntilReadyAsync();
        _ = await P99Async(server.Address);
        long before = ResidentBytes(server);
        long most = before;
        List<double> quiet = [];
        List<double> attacked = [];
        foreach (double _ in Samples) quiet.Add(await P99Async(server.Address));
        using CancellationTokenSource end = new();
        long start = Stopwatch.GetTimestamp();
        Task[] attackers = [.. Enumerable.Range(0, Attackers).Select(i => KeepAttackingAsync(server.Address, i * Muster / Attackers, attack, end.Token))];
        foreach (double seconds in Samples)
        {
            TimeSpan left = TimeSpan.FromSeconds(seconds) - Stopwatch.GetElapsedTime(start);
            if (left > TimeSpan.Zero) await Task.Delay(left);
            await Eventually.TrueAsync(
                async () => await server.MetricAsync(ConnectionsOpen) >= Hostile, TimeSpan.FromSeconds(10), () => $"fewer than {Hostile} connections");
            attacked.Add(await P99Async(server.Address));
            double open = 0;
            await Eventually.TrueAsync(
                async () => (open = await server.MetricAsync(ConnectionsOpen)) >= Hostile, TimeSpan.FromSeconds(10), () => $"{open} connections are left after the sample at {seconds} s");
            most = Math.Max(most, ResidentBytes(server));
            Output.WriteLine($"after {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s: {open} connections, p99 {attacked[^1]:0.00} ms");
        }

        await end.CancelAsync();
        await Task.WhenAll(attackers);

        double calm = Median(quiet);
        double disturbed = Median(attacked);
        Output.WriteLine($"p99 {calm:0.00} ms alone, {disturbed:0.00} ms under {Hostile} hostile clients; resident {before / 1048576} MiB before, {most / 1048576} MiB at most");
        Assert.True(await server.MetricAsync(countsThoseCutOff) > 0, "none was cut off: the attack was too short to meet its limit");
        Assert.True(disturbed <= Math.Max(2 * calm, FloorMilliseconds), $"p99 {calm:0.00} ms became {disturbed:0.00} ms");

        // The process's resident memory; the kernel's socket buffers are not included.
        Assert.True(most - before < (Attackers * bytesPerClient) + Slack, $"{(most - before) / 1048576} MiB of the process for {Attackers} hostile clients");
    }

    private static async Task KeepAttackingAsync(string address, TimeSpan start, Func<Socket, CancellationToken, Task> attack, CancellationToken cancellation)
    {
        await Task.WhenAny(Task.Delay(start, cancellation));
        while (!cancellation.IsCancellationRequested)
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096, SendBufferSize = 4096 };
            try
            {
                await socket.ConnectAsync(IPEndPoint.Parse(address), cancellation);
                await attack(socket, cancellation);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // Disconnected by the server, as expected: try again; or the end of the round.
            }
        }
    }

    /// <summary>Normal pushes in sequence on a kept connection, occasionally on a fresh one.</summary>
    private static Task<double> P99Async(string address) => Task.Run(() =>
    {
        double[] milliseconds = new double[PushesPerSample];
        byte[] buffer = new byte[4096];
        Socket? socket = null;
        for (int i = 0; i < milliseconds.Length; i++)
        {
            long start = Stopwatch.GetTimestamp();
            if (i % 10 == 0)
            {
                socket?.Dispose();
                socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 10_000 };
                socket.Connect(IPEndPoint.Parse(address));
            }

            socket!.Send(Put);
            int count = socket.Receive(buffer);
            Assert.StartsWith("HTTP/1.1 307 ", Encoding.ASCII.GetString(buffer, 0, count), StringComparison.Ordinal);
            milliseconds[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        socket?.Dispose();
        Array.Sort(milliseconds);
        return milliseconds[(int)(milliseconds.Length * 0.99)];
    });

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static long ResidentBytes(DynamicShardingProcess server)
    {
        using Process process = Process.GetProcessById(server.Process.Pid);
        return process.WorkingSet64;
    }
}
