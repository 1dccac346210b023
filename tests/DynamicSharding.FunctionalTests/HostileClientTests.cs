using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Thousands of clients that drip or do not read: bounded memory, and pushes of others as fast as without them.</summary>
public sealed class HostileClientTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Hostile = 2000;
    private const int Rounds = 5;
    private const int PushesPerRound = 1500;

    /// <summary>Below it nothing fails: it is what a busy machine adds by itself.</summary>
    private const double FloorMilliseconds = 20;

    /// <summary>What the process itself may take up in the meantime: compiled code, the collector's room.</summary>
    private const long Slack = 24L * 1048576;

    private static readonly byte[] Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n"u8.ToArray();
    private static readonly byte[] ManyPuts = [.. Enumerable.Repeat(Put, 2000).SelectMany(bytes => bytes)];

    [Fact, Trait("Category", "Long")]
    public Task Slowloris() => AttackAsync(
        bytesPerClient: 8 * 1024,
        static async (socket, cancellation) =>
        {
            foreach (byte b in "PUT /metrics/job/slow HTTP/1.1\r\nHost: edge.test\r\nX: abcdefghijklmnopqrstuvwxyz"u8.ToArray())
            {
                await socket.SendAsync(new byte[] { b }, cancellation);
                await Task.Delay(TimeSpan.FromSeconds(5), cancellation);
            }
        });

    [Fact, Trait("Category", "Long")]
    public Task Readers_that_never_read() => AttackAsync(
        bytesPerClient: (16 + 64) * 1024, // of requests and of answers: docs/operations.md
        static async (socket, cancellation) =>
        {
            while (true) await socket.SendAsync(ManyPuts, cancellation);
        });

    private async Task AttackAsync(long bytesPerClient, Func<Socket, CancellationToken, Task> attack)
    {
        DynamicShardingProcess server = await Cast.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\nlimits: { max_connections: 6000 }\n");
        await server.WaitUntilReadyAsync();
        _ = await P99Async(server.Address);
        long before = ResidentBytes(server);
        long most = before;
        List<double> quiet = [];
        List<double> attacked = [];
        for (int round = 0; round < Rounds; round++)
        {
            quiet.Add(await P99Async(server.Address));
            using CancellationTokenSource end = new();
            Task[] attackers = [.. Enumerable.Range(0, Hostile).Select(_ => KeepAttackingAsync(server.Address, attack, end.Token))];
            await Task.Delay(TimeSpan.FromSeconds(3));
            attacked.Add(await P99Async(server.Address));
            most = Math.Max(most, ResidentBytes(server));
            await end.CancelAsync();
            await Task.WhenAll(attackers);
            await Task.Delay(TimeSpan.FromSeconds(1));
        }

        double calm = Median(quiet);
        double disturbed = Median(attacked);
        Output.WriteLine($"p99 {calm:0.00} ms alone, {disturbed:0.00} ms under {Hostile} hostile clients; resident {before / 1048576} MiB before, {most / 1048576} MiB at most");
        Assert.True(disturbed <= Math.Max(2 * calm, FloorMilliseconds), $"p99 {calm:0.00} ms became {disturbed:0.00} ms");

        Assert.True(most - before < (Hostile * bytesPerClient) + Slack, $"{(most - before) / 1048576} MiB for {Hostile} hostile clients");
    }

    private static async Task KeepAttackingAsync(string address, Func<Socket, CancellationToken, Task> attack, CancellationToken cancellation)
    {
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
                // Cut off by the server, as it should be: the next attempt; or the end of the round.
            }
        }
    }

    /// <summary>Normal pushes, one after the other on a kept connection and now and then on a fresh one.</summary>
    private static Task<double> P99Async(string address) => Task.Run(() =>
    {
        double[] milliseconds = new double[PushesPerRound];
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
