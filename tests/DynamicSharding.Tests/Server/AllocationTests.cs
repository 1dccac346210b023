using System.Collections.Immutable;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Web;

namespace DynamicSharding.Tests.Server;

/// <summary>A request on a kept connection over a real socket allocates nothing on the thread that handles it.</summary>
public sealed class AllocationTests
{
    private const int Requests = 20_000;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("PUT /metrics/job/a/instance/b HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\nContent-Length: 5\r\n\r\nhello")]
    [InlineData("POST /metrics/job@base64/YS9i/x/%20y?q=%FF HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("GET /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("PUT /nope HTTP/1.1\r\nHost: x\r\n\r\n")]
    public async Task Requests_allocate_nothing(string request)
    {
        await using RunningServer server = new(loops: 1);
        await AssertAllocatesNothingAsync(server, request);
    }

    [Fact]
    public async Task Nor_do_those_with_known_credentials_and_a_prefix()
    {
        using PushAuth users = new(ImmutableSortedDictionary<string, string>.Empty.Add("alice", BCrypt.Net.BCrypt.HashPassword("x", 4)), TimeProvider.System);
        await using RunningServer server = new(loops: 1, authorize: users.Check, pathPrefix: "/pushgateway");
        const string Fields = "Host: x\r\nUser-Agent: test\r\nAuthorization: Basic YWxpY2U6eA==\r\nContent-Length: 5\r\n";
        await AssertAllocatesNothingAsync(server, $"PUT /pushgateway/metrics/job/a/instance/b HTTP/1.1\r\n{Fields}\r\nhello");
        Assert.All(Enum.GetValues<RejectReason>(), reason => Assert.Equal(0, server.Counters.Rejected(reason)));
    }

    /// <summary>Nor do connections that begin with a header of the PROXY protocol: many at once, whose header comes late and in two parts.</summary>
    [Theory]
    [InlineData(nameof(ProxyProtocol.Off), "", "")]
    [InlineData(nameof(ProxyProtocol.V1), "PROXY TCP4 192.0.2.7 19", "2.0.2.1 4711 9292\r\n")]
    [InlineData(nameof(ProxyProtocol.V2), "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07", "\xc0\0\x02\x01\x12\x67\x24\x4c")]
    public async Task Nor_do_connections_with_the_header_of_a_proxy(string protocol, string begin, string end)
    {
        const int Together = 200;
        await using RunningServer server = new(loops: 1, proxyProtocol: Enum.Parse<ProxyProtocol>(protocol));
        byte[] first = Encoding.Latin1.GetBytes(begin);
        byte[] second = Encoding.Latin1.GetBytes(end + "GET /metrics/job/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        long fewest = long.MaxValue;
        long last = await AllocatedByLoopAsync(server);

        // Until the JIT has optimized the code. Of the loop's thread only, so that nothing of the clients counts; its inbox costs a few hundred bytes.
        for (int round = 0; round < 100 && fewest > Together; round++)
        {
            Socket[] clients = [.. Enumerable.Range(0, Together).Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true })];
            foreach (Socket client in clients) client.Connect(server.EndPoint);
            if (first.Length > 0) foreach (Socket client in clients) client.Send(first);
            await Task.Delay(20);
            foreach (Socket client in clients) client.Send(second);
            foreach (Socket client in clients)
            {
                Assert.InRange(client.Receive(new byte[512]), 1, 512);
                client.Dispose();
            }

            Assert.True(await server.EmptyAsync());
            long now = await AllocatedByLoopAsync(server);
            fewest = Math.Min(fewest, now - last);
            last = now;
        }

        // One object of the smallest size per connection would be 24 times as many.
        Assert.InRange(fewest, 0, Together);
    }

    private static async Task AssertAllocatesNothingAsync(RunningServer server, string request)
    {
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(server.EndPoint);
        byte[] bytes = Encoding.Latin1.GetBytes(request);

        // Until the JIT has optimized the code, which boxes awaiters before; how long that takes depends on the machine. One object of the smallest
        // size per request would be 48 times as many.
        long fewest = long.MaxValue, start = Stopwatch.GetTimestamp();
        while (fewest > Requests / 2 && Stopwatch.GetElapsedTime(start) < Limit)
        {
            long before = await AllocatedByLoopAsync(server);
            Exchange(client, bytes, Requests);
            fewest = Math.Min(fewest, await AllocatedByLoopAsync(server) - before);
        }

        Assert.InRange(fewest, 0, Requests / 2);
        client.Dispose();
        Assert.True(await server.EmptyAsync());
    }

    private static Task<long> AllocatedByLoopAsync(RunningServer server) => Insides.OnLoopAsync(server.Server, GC.GetAllocatedBytesForCurrentThread);

    private static void Exchange(Socket socket, byte[] request, int count)
    {
        byte[] answer = new byte[4096];
        int length = 0;
        for (int i = 0; i < count; i++)
        {
            socket.Send(request);
            int received = socket.Receive(answer);
            if (length == 0) length = received;
            Assert.True(received == length, "an answer of another length");
        }
    }
}
