using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Connections that say nothing, or too little, never keep a scrape or a health check out of the admin listener.</summary>
public sealed class AdminSilenceTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>More than the listener holds under any descriptor limit.</summary>
    private const int Connections = 300;

    private const string Evicted = "dynamic_sharding_admin_connections_evicted_total";

    private const string Fleet = "pushgateway: { servers: [\"127.0.0.1:9091\", \"127.0.0.2:9091\"], health_check: { enabled: false } }\n";

    /// <summary>What each of them sends: nothing; a head that never ends; a whole request, and then nothing; one without the content it announces.</summary>
    [Theory, Trait("Smoke", "true")]
    [InlineData("")]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: a")]
    [InlineData("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST /-/healthy HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")]
    public async Task Connections_that_wait_give_way_to_a_scrape_and_a_health_check(string sent)
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        List<Socket> silent = [];
        try
        {
            for (int i = 0; i < Connections; i++) silent.Add(await ConnectAsync(server.AdminAddress, sent));
            for (int i = 0; i < 20; i++)
            {
                foreach (string path in (string[])["/metrics", "/-/healthy", "/-/ready", "/"])
                {
                    long begun = Stopwatch.GetTimestamp();
                    Assert.StartsWith("HTTP/1.1 200 ", await AskAsync(server.AdminAddress, path), StringComparison.Ordinal);
                    Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(10), $"{path} took {Stopwatch.GetElapsedTime(begun)}");
                }

                // The places that these requests left are taken again.
                for (int more = 0; more < 4; more++) silent.Add(await ConnectAsync(server.AdminAddress, sent));
            }

            // The oldest went first.
            Assert.True(IsClosed(silent[0]));
            Assert.False(IsClosed(silent[^1]));
            Assert.True(await server.MetricAsync(Evicted) > Connections - 256);
            string[] lines = [.. server.Process.Output.Split('\n').Where(line => line.Contains("silent connections closed", StringComparison.Ordinal))];
            Assert.InRange(lines.Length, 1, 2); // once a minute at most, and a test lasts seconds
            Assert.Contains("level=warn", lines[0], StringComparison.Ordinal);
        }
        finally
        {
            foreach (Socket socket in silent) socket.Dispose();
        }
    }

    /// <summary>Here they are silent before their handshake.</summary>
    [Fact]
    public async Task With_TLS_they_give_way_too()
    {
        using TemporaryFolder folder = new();
        (string certificate, string key) = AdminAccessTests.Issue(folder);
        DynamicShardingProcess server = await StartAsync($"{Fleet}admin: {{ tls: {{ cert_file: {certificate}, key_file: {key} }} }}\n");
        List<Socket> silent = [];
        for (int i = 0; i < Connections; i++) silent.Add(await ConnectAsync(server.AdminAddress, ""));
        using SocketsHttpHandler handler = new() { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = static (_, presented, _, _) => presented is not null;
        using HttpClient client = new(handler);
        string metrics = await client.GetStringAsync($"https://{server.AdminAddress}/metrics");
        foreach (Socket socket in silent) socket.Dispose();
        Assert.Contains(Evicted, metrics, StringComparison.Ordinal);
        Assert.DoesNotContain(Evicted + " 0\n", metrics, StringComparison.Ordinal);
    }

    /// <summary>As on the data listeners: <c>limits.idle_timeout</c> until the first byte and between two requests, <c>limits.header_timeout</c> for a head.</summary>
    [Fact]
    public async Task The_timeouts_are_those_of_the_data_listeners_and_a_reload_changes_them()
    {
        DynamicShardingProcess server = await StartAsync(Fleet + "limits: { idle_timeout: 2s, header_timeout: 2s }\n");
        await ClosesAsync("");
        await ClosesAsync("GET / HTTP/1.1\r\n");
        await ClosesAsync("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n");
        server.WriteConfig(Fleet + "limits: { idle_timeout: 30m, header_timeout: 30m }\n");
        Assert.Equal(HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        using Socket kept = await ConnectAsync(server.AdminAddress, "");
        using Socket begun = await ConnectAsync(server.AdminAddress, "GET / HTTP/1.1\r\n");
        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.False(IsClosed(kept));
        Assert.False(IsClosed(begun));

        async Task ClosesAsync(string sent)
        {
            using Socket socket = await ConnectAsync(server.AdminAddress, sent);
            byte[] buffer = new byte[4096];
            using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
            try
            {
                while (await socket.ReceiveAsync(buffer, limit.Token) > 0)
                {
                }
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
            }
        }
    }

    private async Task<DynamicShardingProcess> StartAsync(string config)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await server.WaitUntilReadyAsync();
        return server;
    }

    private static async Task<Socket> ConnectAsync(string address, string sent)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(address));
        if (sent.Length > 0) await socket.SendAsync(Encoding.ASCII.GetBytes(sent));
        return socket;
    }

    /// <summary>A response, or the reason why there is none.</summary>
    private static async Task<string> AskAsync(string address, string path)
    {
        using Socket socket = await ConnectAsync(address, $"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int read = await socket.ReceiveAsync(buffer, limit.Token);
            return Encoding.ASCII.GetString(buffer, 0, read);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return string.Create(CultureInfo.InvariantCulture, $"{path}: {e.Message}");
        }
    }

    /// <summary>A reset or an end is there to be read, after whatever was received.</summary>
    private static bool IsClosed(Socket socket)
    {
        byte[] buffer = new byte[64 * 1024];
        try
        {
            while (socket.Poll(0, SelectMode.SelectRead))
                if (socket.Receive(buffer) == 0) return true;
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
