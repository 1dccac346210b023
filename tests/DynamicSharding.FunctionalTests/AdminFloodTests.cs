using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>No flood of the admin listener delays health checks, forwards, or the watchdog.</summary>
[Collection(AloneGroup.Name)]
public sealed class AdminFloodTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Gateways = 1000;
    private const string Password = "right";

    /// <summary>Fewer than the listener accepts: Prometheus and the orchestrator still get a connection.</summary>
    private const int Clients = 250;

    /// <summary>Longer than it takes two probes to fail a gateway.</summary>
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
    public Task A_flood_of(string path) => FloodAsync(path, "", (admin, number, ask) => AskAsync(admin, path, number, null, ask));

    /// <summary>Each one is a bcrypt check at the cost that the documentation recommends.</summary>
    [Fact, Trait("Category", "Slow")]
    public Task A_flood_of_wrong_passwords() => FloodAsync(
        "wrong passwords",
        $"admin: {{ basic_auth_users: {{ ops: '{BCrypt.Net.BCrypt.HashPassword(Password, 10)}' }} }}\n",
        (admin, number, ask) => AskAsync(admin, "/api/v1/status", number, $"ops:wrong {number}", ask));

    /// <summary>They read ten bytes a second until the server closes the connection, then reconnect.</summary>
    [Fact, Trait("Category", "Slow")]
    public Task A_flood_of_slow_readers() => FloodAsync("slow readers", "", async (admin, number, ask) =>
    {
        string[] pages = ["/", "/?q=/metrics/job/a", "/metrics", "/api/v1/status", "/api/v1/ring", "/api/v1/history", $"/api/v1/simulate?add=127.9.0.{number}:1", "/icon.svg"];
        string request = $"GET {pages[number % pages.Length]} HTTP/1.1\r\nHost: localhost\r\n\r\n";
        byte[] one = new byte[1];
        while (!ask.Over.IsCancellationRequested)
        {
            try
            {
                using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
                await socket.ConnectAsync(IPEndPoint.Parse(admin), ask.Over);

                // Pipelined, so that responses also queue behind each other.
                for (int i = 0; i < 4; i++) await socket.SendAsync(Encoding.ASCII.GetBytes(request), ask.Over);
                for (bool counted = false; await socket.ReceiveAsync(one, ask.Over) > 0; counted = true)
                {
                    if (!counted) ask.Replied();
                    await Task.Delay(100, ask.Over);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
            }
        }
    });

    private async Task FloodAsync(string name, string more, Func<string, int, Flooding, Task> floodAsync)
    {
        await using LoopbackServer gateway = OnEveryLoopbackAddress();
        int port = IPEndPoint.Parse(gateway.Address).Port;
        string[] gateways = [.. Enumerable.Range(0, Gateways).Select(i => $"127.1.{i / 250}.{1 + (i % 250)}:{port}")];
        using ServiceManager manager = new();
        string data = FreePort.NextAddress(), admin = FreePort.NextAddress(), forward = FreePort.NextAddress();
        string config = ForwardServer.Config(data, admin, forward, gateways, "", more);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config, data, admin, manager.Environment(WatchdogPeriod));
        await server.WaitUntilReadyAsync();
        using HttpClient others = Client(admin, more.Length > 0 ? "ops:" + Password : null);
        await Eventually.TrueAsync(
            async () => await MembersAsync() is var members && gateways.Order(StringComparer.Ordinal).SequenceEqual(members), TimeSpan.FromSeconds(60), () => "all members");
        server.ResetPeakMemory();
        double before = server.Memory().Now;

        using CancellationTokenSource over = new();
        Flooding flooding = new(over.Token);
        Task[] flood = [.. Enumerable.Range(0, Clients).Select(i => Task.Run(() => floodAsync(admin, i, flooding)))];
        List<TimeSpan> forwardTimes = [];
        long end = Stopwatch.GetTimestamp() + (long)(Flood.TotalSeconds * Stopwatch.Frequency);
        int forwards = 0;
        while (Stopwatch.GetTimestamp() < end)
        {
            long begun = Stopwatch.GetTimestamp();
            string reply = await ForwardServer.ExchangeAsync(forward, ForwardServer.Put($"/metrics/job/j{forwards++}", fields: "Connection: close\r\n"));
            Assert.StartsWith("HTTP/1.1 200 ", reply, StringComparison.Ordinal);
            TimeSpan took = Stopwatch.GetElapsedTime(begun);
            forwardTimes.Add(took);
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
            $"{name}: {flooding.Replies} replies, {flooding.Refusals} refused; {forwards} forwards, slowest {forwardTimes.Max().TotalSeconds:0.00} s; pings at most {slowestPing:0.0} s apart; {before:0} to {peak:0} MiB"));
        Assert.True(flooding.Replies > 0, "no response at all");
        Assert.Equal(0, (await StatusAsync()).GetProperty("changes").GetInt64());
        Assert.Equal(gateways.Order(StringComparer.Ordinal), await MembersAsync());
        Assert.False(server.HasLogged("gateway state changed", "state=Leaving"), "a gateway left");

        // One may meet a stall of the machine.
        Assert.True(forwardTimes.Count(static took => took > TimeSpan.FromSeconds(3)) <= 1, $"forwards took {string.Join(", ", forwardTimes.Where(static took => took > TimeSpan.FromSeconds(3)))}");
        Assert.True(slowestPing < WatchdogPeriod.TotalSeconds * 0.8, $"no watchdog ping for {slowestPing} s");
        Assert.True(peak < before + 250, $"{before} MiB became {peak}");

        async Task<JsonElement> StatusAsync()
        {
            using JsonDocument document = JsonDocument.Parse(await others.GetStringAsync("api/v1/status"));
            return document.RootElement.Clone();
        }

        async Task<IEnumerable<string>> MembersAsync() => (await StatusAsync()).GetProperty("members").EnumerateArray()
            .Where(static member => member.GetProperty("state").GetString() == "member")
            .Select(static member => member.GetProperty("address").GetString()!)
            .Order(StringComparer.Ordinal);
    }

    private static async Task AskAsync(string admin, string path, int number, string? credentials, Flooding flooding)
    {
        using HttpClient flooder = Client(admin, credentials);
        string asked = string.Format(CultureInfo.InvariantCulture, path, number);
        while (!flooding.Over.IsCancellationRequested)
        {
            try
            {
                using HttpRequestMessage request = new(path == "/-/reload" ? HttpMethod.Post : HttpMethod.Get, asked);
                using HttpResponseMessage response = await flooder.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, flooding.Over);
                flooding.Replied();
                if (response.StatusCode == HttpStatusCode.ServiceUnavailable)
                {
                    flooding.Refused();
                    Assert.NotNull(response.Headers.RetryAfter);
                }

                if (credentials is not null) Assert.True(response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.ServiceUnavailable);
                await response.Content.CopyToAsync(Stream.Null, flooding.Over);
            }
            catch (Exception e) when (flooding.Over.IsCancellationRequested && e is OperationCanceledException or HttpRequestException or IOException)
            {
            }
        }
    }

    private static HttpClient Client(string address, string? credentials)
    {
        HttpClient client = new(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://{address}"), Timeout = TimeSpan.FromSeconds(30) };
        if (credentials is not null) client.DefaultRequestHeaders.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)));
        return client;
    }

    /// <summary>One server for all gateways: it listens on one port of every loopback address.</summary>
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

    private sealed class Flooding(CancellationToken over)
    {
        private int _replies, _refusals;

        public CancellationToken Over { get; } = over;

        public int Replies => Volatile.Read(ref _replies);

        public int Refusals => Volatile.Read(ref _refusals);

        public void Replied() => Interlocked.Increment(ref _replies);

        public void Refused() => Interlocked.Increment(ref _refusals);
    }
}
