using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using DynamicSharding.FunctionalTests.Faults;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Long content that its gateway does not take yet waits at the client, not in memory.</summary>
public sealed class WaitingContentTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Clients = 64;

    /// <summary>
    /// Per client: what the loop has received (64 KiB) and what its socket did not take, twice, since arrays double. A single MiB of content that
    /// is kept is more.
    /// </summary>
    private const double MiBPerClient = 0.5;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Content_of_64_clients_of_8_MiB_waits_for_a_slow_gateway_and_is_whole(bool isChunked) => PushAsync(8, isChunked);

    [Theory, Trait("Category", "Slow")]
    [InlineData(false)]
    [InlineData(true)]
    public Task Content_of_64_clients_of_100_MiB_waits_for_a_slow_gateway_and_is_whole(bool isChunked) => PushAsync(100, isChunked);

    private async Task PushAsync(int mebibytes, bool isChunked)
    {
        long length = mebibytes * 1024L * 1024;
        string[] received = new string[Clients];
        var isFast = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            var reader = new RequestReader(socket, "");
            string head = (await reader.ReadHeadAsync(cancellation))!;
            await isFast.Task.WaitAsync(cancellation);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            await reader.ReadContentAsync(head, hash.AppendData, cancellation);
            received[int.Parse(head.Split(' ')[1].Split('/')[^1], CultureInfo.InvariantCulture)] = Convert.ToHexString(hash.GetHashAndReset());
            await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
        });
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], more: $"forward: {{ max_body_bytes: 1GiB, max_in_flight: {Clients}, timeout: 2m }}\nlimits: {{ body_min_rate: 0 }}");
        Assert.Equal(200, await WarmUpAsync(server));
        server.Process.ResetPeakMemory();
        double before = server.Process.Memory().Now;

        int sent = 0;
        Task<int>[] pushes = [.. Enumerable.Range(0, Clients).Select(client => PushAsync(server.Address, client, length, isChunked, () => Interlocked.Increment(ref sent)))];

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
        Assert.Equal(Enumerable.Range(0, Clients).Select(client => LongContent.HashOf(client, length)), received);

        double peak = server.Process.Memory().Peak;
        Measured($"{Clients} pushes of {mebibytes} MiB{(isChunked ? " in chunks" : "")} to a gateway that waits", $"{before:0.0} MiB before, {peak:0.0} MiB at most");
        Assert.InRange(peak - before, -1000, (Clients * MiBPerClient) + (Binary.IsNativeAot ? 0 : 16));
    }

    private static async Task<int> WarmUpAsync(ForwardServer server) => ForwardServer.StatusOf(await server.ExchangeAsync("GET /-/healthy HTTP/1.1\r\nHost: edge.test\r\n\r\n"));

    private static async Task<int> PushAsync(string address, int client, long length, bool isChunked, Action whenSent)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(address));
        string framing = isChunked ? "Transfer-Encoding: chunked" : string.Create(CultureInfo.InvariantCulture, $"Content-Length: {length}");
        string head = $"PUT /metrics/job/waits/instance/{client} HTTP/1.1\r\nHost: edge.test\r\n{framing}\r\n\r\n";
        await LongContent.SendAsync(socket, head, client, length, isChunked, whenSent);
        byte[] reply = new byte[1024];
        int received = await socket.ReceiveAsync(reply);
        return ForwardServer.StatusOf(Encoding.Latin1.GetString(reply, 0, received));
    }
}
