using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>CPU time and memory that single connections may cost, even if they are reset or do not read.</summary>
[Trait("Category", "Slow")]
[Collection(AloneGroup.Name)]
public sealed class ForwardLoadTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>Covers the kernel's socket buffers and the server's own; a server without a bound on responses takes everything.</summary>
    private const long MaxUnreadBytes = 16 * 1024 * 1024;

    private const string Half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    private const string ResetContent = "HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n";

    [Theory]
    [InlineData(Half)]
    [InlineData(ResetContent)]
    public async Task A_response_that_breaks_off_costs_nothing_after_its_connection_is_cut(string response)
    {
        await using var gateway = new RecordingGateway(response, closes: true);
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        List<RawHttp> clients = [];
        for (int i = 0; i < 4; i++)
        {
            RawHttp client = await RawHttp.ConnectAsync(server.Address);
            clients.Add(client);
            await client.SendAsync(ForwardServer.Put("/metrics/job/a"));
            await Record.ExceptionAsync(() => client.ReadReplyAsync());
        }

        await IsIdleAsync(server);
        foreach (RawHttp client in clients) client.Dispose();
    }

    [Fact]
    public async Task Endless_trailers_cost_nothing_after_their_connection_is_cut()
    {
        await using var gateway = new RecordingGateway();

        // After the 400 the listener discards what comes, so that the client can read it: in all for twelve times this.
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { linger_timeout: 500ms }");
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nv 1\n\r\n0\r\n");
        int sent = 0;
        SocketException end = await Assert.ThrowsAsync<SocketException>(async () =>
        {
            string trailer = "X-Trailer: " + new string('x', 1000) + "\r\n";
            for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(60); sent++) await client.SendAsync(trailer).WaitAsync(TimeSpan.FromSeconds(20));
        });
        Output.WriteLine($"cut after {sent} KB of trailers: {end.Message}");

        await IsIdleAsync(server);
        Assert.Empty(gateway.Requests);
    }

    [Fact]
    public async Task Clients_that_pipeline_and_do_not_read_cost_nothing()
    {
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [FreePort.NextAddress()]);
        byte[] requests = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET /nothing HTTP/1.1\r\nHost: edge.test\r\n\r\n", 500)));
        Socket[] clients = [.. Enumerable.Range(0, 12).Select(_ => Connect(server.Address))];

        long[] sent = await Task.WhenAll(clients.Select(client => SendUntilBlockedAsync(client, requests)));

        Output.WriteLine($"the server took {sent.Max() / 1024} KiB at most from a client that does not read");
        Assert.All(sent, bytes => Assert.InRange(bytes, 1, MaxUnreadBytes));
        await IsIdleAsync(server);
        foreach (Socket client in clients) client.Dispose();
    }

    [Fact]
    public async Task Clients_that_pipeline_and_do_not_read_are_reset_after_write_timeout()
    {
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [FreePort.NextAddress()], more: "limits: { write_timeout: 1s }");
        byte[] requests = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET /nothing HTTP/1.1\r\nHost: edge.test\r\n\r\n", 500)));
        Socket[] clients = [.. Enumerable.Range(0, 12).Select(_ => Connect(server.Address))];

        await Task.WhenAll(clients.Select(async client =>
        {
            SocketException end = await Assert.ThrowsAnyAsync<SocketException>(async () =>
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
                while (true) await client.SendAsync(requests, limit.Token);
            });
            Assert.True(end.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown, end.SocketErrorCode.ToString());
        }));

        Assert.Equal(clients.Length, await server.MetricAsync("dynamic_sharding_connections_closed_total{reason=\"write_timeout\"}"));
        await IsIdleAsync(server);
        foreach (Socket client in clients) client.Dispose();
    }

    [Fact]
    public async Task Odd_targets_of_clients_that_do_not_read_do_not_pile_up()
    {
        const int Connections = 30;
        const double MaxMiB = 100;
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [FreePort.NextAddress()]);
        byte[] requests = Encoding.ASCII.GetBytes(string.Concat(
            Enumerable.Repeat($"GET http://a/metrics/job/{new string('x', 8100)} HTTP/1.1\r\nHost: edge.test\r\n\r\n", 8)));
        Socket[] clients = [.. Enumerable.Range(0, Connections).Select(_ => Connect(server.Address))];
        double before = server.Process.Memory().Now;

        await Task.WhenAll(clients.Select(client => SendUntilBlockedAsync(client, requests)));

        double grown = server.Process.Memory().Peak - before;
        Output.WriteLine($"{grown:0} MiB for {Connections} connections");
        Assert.True(grown < MaxMiB, $"{grown:0} MiB for {Connections} connections");
        foreach (Socket client in clients) client.Dispose();
    }

    private static Socket Connect(string address)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 2048 };
        socket.Connect(IPEndPoint.Parse(address));
        return socket;
    }

    /// <summary>Until the server takes nothing for three seconds, or resets.</summary>
    /// <returns>The bytes that the kernel accepted.</returns>
    private static async Task<long> SendUntilBlockedAsync(Socket client, byte[] requests)
    {
        long sent = 0;
        try
        {
            while (sent < 2 * MaxUnreadBytes)
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(3));
                sent += await client.SendAsync(requests, limit.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            // Blocked, or reset.
        }

        return sent;
    }

    private async Task IsIdleAsync(ForwardServer server)
    {
        // Lets pending work finish.
        await Task.Delay(TimeSpan.FromSeconds(1));
        using Process process = Process.GetProcessById(server.Process.Process.Pid);
        TimeSpan before = process.TotalProcessorTime;
        await Task.Delay(TimeSpan.FromSeconds(5));
        process.Refresh();
        TimeSpan used = process.TotalProcessorTime - before;
        Output.WriteLine($"{used.TotalSeconds:0.00} s of CPU time in 5 s");
        Assert.True(used < TimeSpan.FromSeconds(1.5), $"it spins: {used.TotalSeconds:0.00} s of CPU time in 5 s");
    }
}
