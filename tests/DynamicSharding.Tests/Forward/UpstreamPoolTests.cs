using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Tests.Server;

namespace DynamicSharding.Tests.Forward;

/// <summary>Connections to gateways between two pushes.</summary>
public sealed class UpstreamPoolTests
{
    private const string Push = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nv 1\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// <summary>No push comes that could notice it.</summary>
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("x")]
    [InlineData("")]
    public async Task An_idle_connection_is_closed_at_once_when_bytes_or_an_end_arrive(string unasked)
    {
        var mayGoOn = new TaskCompletionSource();
        var closed = new TaskCompletionSource();
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            var reader = new ContentReader(socket, cancellation);
            await reader.SkipContentAsync((await reader.ReadHeadAsync())!);
            await ScriptedGateway.SendAsync(socket, Ok, cancellation);
            await mayGoOn.Task;
            if (unasked.Length > 0) await ScriptedGateway.SendAsync(socket, unasked, cancellation);
            else socket.Shutdown(SocketShutdown.Send);
            try
            {
                Assert.Null(await reader.ReadHeadAsync());
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                // It was closed with the bytes unread.
            }

            closed.SetResult();
        });
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Push);
        Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.Equal(1, server.Plane.OpenUpstreams);

        mayGoOn.SetResult();

        await closed.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0));
    }

    /// <summary>Pushgateway keeps idle connections without limit, what stands before it for a minute or more.</summary>
    [Fact]
    public async Task An_idle_connection_is_closed_before_the_gateway_would()
    {
        await using ScriptedGateway gateway = ScriptedGateway.Good();
        await using var server = new RunningForward([gateway.Address], clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        for (int i = 0; i < 2; i++)
        {
            await client.SendAsync(Push);
            Assert.Equal(200, (await client.ReadAsync())!.Status);
            await server.AdvanceAsync(TimeSpan.FromSeconds(20));
        }

        Assert.Equal((1, 1), (gateway.Connections, server.Plane.OpenUpstreams));
        await server.AdvanceAsync(TimeSpan.FromSeconds(20));
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0));
    }

    [Fact]
    public async Task Of_many_connections_that_become_idle_a_bounded_number_is_kept()
    {
        const int Pushes = 300;
        int received = 0;
        var all = new TaskCompletionSource();
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            var reader = new ContentReader(socket, cancellation);
            while (await reader.ReadHeadAsync() is { } head)
            {
                await reader.SkipContentAsync(head);
                if (Interlocked.Increment(ref received) == Pushes) all.SetResult();
                await all.Task.WaitAsync(cancellation);
                await ScriptedGateway.SendAsync(socket, Ok, cancellation);
            }
        });
        await using var server = new RunningForward([gateway.Address], new ForwardOptions { MaxInFlight = Pushes }, loops: 1);
        TestClient[] clients = new TestClient[Pushes];
        for (int i = 0; i < Pushes; i++)
        {
            clients[i] = await server.ConnectAsync();
            await clients[i].SendAsync(Push);
        }

        foreach (TestClient client in clients)
        {
            Assert.Equal(200, (await client.ReadAsync())!.Status);
            client.Dispose();
        }

        Assert.Equal(Pushes, gateway.Connections);
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 128), $"{server.Plane.OpenUpstreams} kept");
    }
}
