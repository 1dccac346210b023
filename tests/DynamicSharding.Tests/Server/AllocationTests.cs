using System.Collections.Immutable;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Web;

namespace DynamicSharding.Tests.Server;

/// <summary>A request on a kept connection allocates nothing, measured from the outside over a real socket.</summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed class AllocationTests
{
    private const int Requests = 100_000;

    [Theory]
    [InlineData("PUT /metrics/job/a/instance/b HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\nContent-Length: 5\r\n\r\nhello")]
    [InlineData("POST /metrics/job@base64/YS9i/x/%20y?q=%FF HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("GET /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("PUT /nope HTTP/1.1\r\nHost: x\r\n\r\n")]
    public async Task A_hundred_thousand_requests_allocate_nothing(string request)
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

    private static async Task AssertAllocatesNothingAsync(RunningServer server, string request)
    {
        // Never used asynchronously: a blocking socket's calls allocate nothing.
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(server.EndPoint);
        byte[] bytes = Encoding.Latin1.GetBytes(request);

        // Code that the JIT has not optimized yet boxes awaiters; how long that takes depends on the machine.
        for (int round = 0; round < 50 && Allocated(client, bytes, 5000) > 5000; round++) await Task.Delay(100);

        // Includes what the test host allocates meanwhile, so the best of three counts: one small object per request would be 2,400,000.
        long allocated = long.MaxValue;
        for (int i = 0; i < 3 && allocated > Requests / 2; i++) allocated = Math.Min(allocated, Allocated(client, bytes, Requests));
        Assert.InRange(allocated, 0, Requests / 2);
        client.Dispose();
        Assert.True(await server.EmptyAsync());
    }

    private static long Allocated(Socket socket, byte[] request, int count)
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        Exchange(socket, request, count);
        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

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

/// <summary>Tests that measure the whole process (allocations): no other test runs at the same time.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWideTestGroup
{
    public const string Name = "process-wide";
}
