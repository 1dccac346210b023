using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Faults;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Long content that its gateway does not take yet waits at the client, not in memory.</summary>
public sealed class WaitingContentTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Clients = 64;
    private const int Piece = 256 * 1024;

    /// <summary>
    /// Per client: what the loop has received (64 KiB) and what its socket did not take, twice, since arrays double. A single MiB of content that
    /// is kept is more.
    /// </summary>
    private const double MiBPerClient = 0.5;

    [Fact]
    public Task Content_of_64_clients_of_8_MiB_waits_for_a_slow_gateway() => PushAsync(8);

    [Fact, Trait("Category", "Slow")]
    public Task Content_of_64_clients_of_100_MiB_waits_for_a_slow_gateway() => PushAsync(100);

    private async Task PushAsync(int mebibytes)
    {
        long length = mebibytes * 1024L * 1024;
        var isFast = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            _ = await new RequestReader(socket, "").ReadHeadAsync(cancellation);
            await isFast.Task.WaitAsync(cancellation);
            byte[] buffer = new byte[Piece];
            while (await socket.ReceiveAsync(buffer.AsMemory(), cancellation) is > 0 and int count)
            {
                // Only the last byte of the content is a line's end.
                if (buffer[count - 1] == (byte)'\n') await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
            }
        });
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], more: $"forward: {{ max_body_bytes: 1GiB, max_in_flight: {Clients}, timeout: 2m }}\nlimits: {{ body_min_rate: 0 }}");
        Assert.Equal(200, await WarmUpAsync(server));
        server.Process.ResetPeakMemory();
        double before = server.Process.Memory().Now;

        int sent = 0;
        Task<int>[] pushes = [.. Enumerable.Range(0, Clients).Select(client => PushAsync(server.Address, client, length, () => Interlocked.Increment(ref sent)))];

        // All pushes have begun, and nothing moves: what was taken from the clients is in the sockets' buffers, or in memory.
        await server.WaitForInFlightAsync(gateway.Address, Clients);
        int last = -1;
        while (last != Volatile.Read(ref sent))
        {
            last = Volatile.Read(ref sent);
            await Task.Delay(500);
        }

        isFast.SetResult();
        Assert.All(await Task.WhenAll(pushes), static status => Assert.Equal(200, status));

        double peak = server.Process.Memory().Peak;
        Measured($"{Clients} pushes of {mebibytes} MiB to a gateway that waits", $"{before:0.0} MiB before, {peak:0.0} MiB at most");
        Assert.InRange(peak - before, -1000, (Clients * MiBPerClient) + (Binary.IsNativeAot ? 0 : 16));
    }

    private static async Task<int> WarmUpAsync(ForwardServer server) => ForwardServer.StatusOf(await server.ExchangeAsync("GET /-/healthy HTTP/1.1\r\nHost: edge.test\r\n\r\n"));

    private static async Task<int> PushAsync(string address, int client, long length, Action whenSent)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(address));
        await socket.SendAsync(Encoding.Latin1.GetBytes($"PUT /metrics/job/waits/instance/{client} HTTP/1.1\r\nHost: edge.test\r\nContent-Length: {length}\r\n\r\n"));
        byte[] piece = new byte[Piece];
        piece.AsSpan().Fill((byte)'#');
        for (long left = length; left > 0;)
        {
            int count = (int)Math.Min(left, piece.Length);
            if (count == left) piece[count - 1] = (byte)'\n';
            for (int at = 0; at < count;) at += await socket.SendAsync(piece.AsMemory(at, count - at));
            left -= count;
            whenSent();
        }

        byte[] reply = new byte[1024];
        int received = await socket.ReceiveAsync(reply);
        return ForwardServer.StatusOf(Encoding.Latin1.GetString(reply, 0, received));
    }
}
