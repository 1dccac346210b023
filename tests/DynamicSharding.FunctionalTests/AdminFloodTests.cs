using System.Diagnostics;
using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Nothing that anyone asks of the admin listener delays a verdict on a gateway, a forward, or the watchdog.</summary>
[Collection(AloneGroup.Name)]
public sealed class AdminFloodTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Gateways = 1000;

    /// <summary>Fewer than the listener takes: Prometheus and the orchestrator still get a connection.</summary>
    private const int Clients = 250;

    /// <summary>Longer than two probes take to give a gateway up.</summary>
    private static readonly TimeSpan Flood = TimeSpan.FromSeconds(12);

    private static readonly TimeSpan WatchdogPeriod = TimeSpan.FromSeconds(10);

    private readonly ITestOutputHelper _output = output;

    [Theory, Trait("Category", "Slow")]
    [InlineData("/")]
    [InlineData("/?q=/metrics/job/a&add=127.9.0.{0}:1")]
    [InlineData("/icon.svg")]
    [InlineData("/metrics")]
    [InlineData("/-/healthy")]
    [InlineData("/-/ready")]
    [InlineData("/-/reload")]
    [InlineData("/api/v1/status")]
    [InlineData("/api/v1/ring")]
    [InlineData("/api/v1/lookup?path=/metrics/job/j{0}")]
    [InlineData("/api/v1/simulate?add=127.9.0.{0}:1")]
    [InlineData("/api/v1/history")]
    [InlineData("/nothing")]
    public async Task A_flood_of(string path)
    {
        await using LoopbackServer gateway = OnEveryLoopbackAddress();
        int port = IPEndPoint.Parse(gateway.Address).Port;
        string[] gateways = [.. Enumerable.Range(0, Gateways).Select(i => $"127.1.{i / 250}.{1 + (i % 250)}:{port}")];
        using ServiceManager manager = new();
        string data = FreePort.NextAddress(), admin = FreePort.NextAddress(), forward = FreePort.NextAddress();
        string config = ForwardServer.Config(data, admin, forward, gateways, "", "");
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config, data, admin, manager.Environment(WatchdogPeriod));
        await server.WaitUntilReadyAsync();
        await server.WaitForMembersAsync(gateways, TimeSpan.FromSeconds(30));
        server.ResetPeakMemory();
        double before = server.Memory().Now;

        using CancellationTokenSource over = new();
        using HttpClient flooders = Client(admin), others = Client(admin);
        int replies = 0, refusals = 0;
        Task[] flood = [.. Enumerable.Range(0, Clients).Select(i => Task.Run(() => FloodAsync(i)))];
        TimeSpan slowestForward = TimeSpan.Zero;
        long end = Stopwatch.GetTimestamp() + (long)(Flood.TotalSeconds * Stopwatch.Frequency);
        int forwards = 0;
        while (Stopwatch.GetTimestamp() < end)
        {
            long begun = Stopwatch.GetTimestamp();
            string reply = await ForwardServer.ExchangeAsync(forward, ForwardServer.Put($"/metrics/job/j{forwards++}", fields: "Connection: close\r\n"));
            Assert.StartsWith("HTTP/1.1 200 ", reply, StringComparison.Ordinal);
            TimeSpan took = Stopwatch.GetElapsedTime(begun);
            if (took > slowestForward) slowestForward = took;
            foreach (string kept in (string[])["-/healthy", "-/ready", "metrics"])
            {
                using HttpResponseMessage response = await others.GetAsync(kept);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            }
        }

        await over.CancelAsync();
        await Task.WhenAll(flood);
        double peak = server.Memory().Peak;
        double slowestPing = manager.TimesOf("WATCHDOG=1") is { Length: > 1 } pings
            ? pings.Append(Stopwatch.GetTimestamp()).Zip(pings.Skip(1).Append(Stopwatch.GetTimestamp()), (a, b) => Stopwatch.GetElapsedTime(a, b).TotalSeconds).Max()
            : double.MaxValue;
        _output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{path}: {replies} replies, {refusals} refused; {forwards} forwards, slowest {slowestForward.TotalSeconds:0.00} s; pings at most {slowestPing:0.0} s apart; {before:0} to {peak:0} MiB"));
        Assert.True(replies > 0, "nobody got a reply");
        Assert.Equal(0, await server.ChangesAsync());
        Assert.Equal(gateways.Order(StringComparer.Ordinal), await server.MembersAsync());
        Assert.False(server.HasLogged("gateway state changed", "state=Leaving"), "a gateway was about to leave");
        Assert.True(slowestForward < TimeSpan.FromSeconds(5), $"a forward took {slowestForward}");
        Assert.True(slowestPing < WatchdogPeriod.TotalSeconds * 0.8, $"the watchdog heard nothing for {slowestPing} s");
        Assert.True(peak < before + 250, $"{before} MiB became {peak}");

        async Task FloodAsync(int number)
        {
            string asked = string.Format(CultureInfo.InvariantCulture, path, number);
            while (!over.IsCancellationRequested)
            {
                try
                {
                    using HttpRequestMessage request = new(path == "/-/reload" ? HttpMethod.Post : HttpMethod.Get, asked);
                    using HttpResponseMessage response = await flooders.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, over.Token);
                    Interlocked.Increment(ref replies);
                    if (response.StatusCode == HttpStatusCode.ServiceUnavailable)
                    {
                        Interlocked.Increment(ref refusals);
                        Assert.NotNull(response.Headers.RetryAfter);
                    }

                    await response.Content.CopyToAsync(Stream.Null, over.Token);
                }
                catch (Exception e) when (over.IsCancellationRequested && e is OperationCanceledException or HttpRequestException or IOException)
                {
                }
            }
        }
    }

    private static HttpClient Client(string address) =>
        new(new SocketsHttpHandler { MaxConnectionsPerServer = Clients }) { BaseAddress = new Uri($"http://{address}"), Timeout = TimeSpan.FromSeconds(30) };

    /// <summary>One server that all gateways are: on one port of every address of the loopback device, and of no other.</summary>
    private static LoopbackServer OnEveryLoopbackAddress() => new(
        async (socket, stop) =>
        {
            byte[] buffer = new byte[16 * 1024];
            byte[] reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"u8.ToArray();
            int length = 0;
            while (true)
            {
                int read = await socket.ReceiveAsync(buffer.AsMemory(length), stop);
                if (read == 0) return;
                length += read;
                int head = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
                if (head < 0) continue;

                // A probe has no content, and all pushes of this test have the same.
                bool push = buffer.AsSpan(0, length).StartsWith("PUT "u8);
                if (length < head + 4 + (push ? "v 1\n".Length : 0)) continue;
                length = 0;
                await socket.SendAsync(reply, stop);
            }
        },
        "0.0.0.0:0",
        device: "lo");
}
