using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Admin;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Admin;

public sealed class SlowReaderTests
{
    [Fact]
    public async Task Responses_that_clients_are_slow_to_read_hold_a_bounded_amount_of_memory()
    {
        // Each status is a body of its own; one of this size fits the budget, two do not.
        await using var admin = new AdminFixture();
        string output = new('x', 33 << 20);
        admin.View = admin.View with { Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Out) with { CheckOutput = output }] };
        await admin.StartAsync();
        using var slow = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await slow.ConnectAsync(IPAddress.Loopback, admin.Listener.Port);
        await slow.SendAsync(Encoding.ASCII.GetBytes("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        byte[] start = new byte[12];
        Assert.Equal(start.Length, await slow.ReceiveAsync(start));
        Assert.Equal("HTTP/1.1 200", Encoding.ASCII.GetString(start));

        using (HttpResponseMessage rejected = await admin.Client.GetAsync("/api/v1/status", HttpCompletionOption.ResponseHeadersRead))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, rejected.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(1), rejected.Headers.RetryAfter!.Delta);
        }

        // Small responses still fit, and the end of the slow reader makes room.
        Assert.NotEmpty(await admin.ScrapeAsync());
        slow.Dispose();
        for (HttpStatusCode status = default; status != HttpStatusCode.OK; await Task.Delay(20))
        {
            using HttpResponseMessage response = await admin.Client.GetAsync("/api/v1/status", HttpCompletionOption.ResponseHeadersRead);
            status = response.StatusCode;
        }
    }

    [Fact]
    public void A_body_counts_once_however_many_read_it_and_a_huge_one_is_served_alone()
    {
        var budget = new ResponseBudget(100);
        ReadOnlyMemory<byte> shared = new byte[60], other = new byte[60], small = new byte[40], huge = new byte[200];
        Assert.True(budget.TryHold(shared));
        Assert.True(budget.TryHold(shared));
        Assert.False(budget.TryHold(other));
        Assert.True(budget.TryHold(small));
        budget.Release(small);
        budget.Release(shared);
        Assert.False(budget.TryHold(other));
        budget.Release(shared);
        Assert.True(budget.TryHold(huge));
        Assert.False(budget.TryHold(small));
        budget.Release(huge);
        Assert.True(budget.TryHold(other));
    }
}
