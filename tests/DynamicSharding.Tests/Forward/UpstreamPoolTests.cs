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

    /// <summary>Half a second early or late: the loop looks once a second.</summary>
    [Theory]
    [InlineData("timeout=5, max=99", 4)]
    [InlineData("timeout=12", 11)]
    [InlineData("timeout=60", 30)]
    [InlineData("timeout=99999999999999999999", 30)]
    [InlineData("timeout=x", 30)]
    public async Task An_idle_connection_is_closed_a_second_before_the_time_that_its_gateway_announces(string announced, int keptFor)
    {
        await using ScriptedGateway gateway = Announcing((_, _) => announced);
        await using var server = new RunningForward([gateway.Address], loops: 1, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        for (int i = 0; i < 3; i++)
        {
            await PushAsync(client);
            await server.AdvanceAsync(TimeSpan.FromSeconds(keptFor - 1));
        }

        Assert.Equal((1, 1), (gateway.Connections, server.Plane.OpenUpstreams));
        await server.AdvanceAsync(TimeSpan.FromSeconds(1.5));
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0));
    }

    /// <summary>The loop looks once a second, pushes come at any time: also between the end of a connection's time and that look.</summary>
    [Fact]
    public async Task No_push_meets_a_connection_whose_time_is_over()
    {
        const int Pushes = 6;
        await using ScriptedGateway gateway = Announcing((_, _) => "timeout=1");
        await using var server = new RunningForward([gateway.Address], loops: 1, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        for (int i = 0; i < Pushes; i++)
        {
            await PushAsync(client);
            await server.AdvanceAsync(AdjustableClock.Step);
        }

        Assert.Equal(Pushes, gateway.Connections);
    }

    [Theory]
    [InlineData("timeout=0")]
    [InlineData("timeout=5, max=0")]
    public async Task A_connection_on_which_the_gateway_waits_for_no_request_is_not_kept(string announced)
    {
        await using ScriptedGateway gateway = Announcing((_, _) => announced);
        await using var server = new RunningForward([gateway.Address], loops: 1, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        for (int i = 0; i < 2; i++)
        {
            await PushAsync(client);
            Assert.Equal((i + 1, 0), (gateway.Connections, server.Plane.OpenUpstreams));
        }
    }

    [Fact]
    public async Task What_a_gateway_has_announced_holds_for_its_connection_until_it_announces_something_else()
    {
        await using ScriptedGateway gateway = Announcing((_, response) => response switch { 0 => "timeout=5", 2 => "timeout=12", _ => null });
        await using var server = new RunningForward([gateway.Address], loops: 1, clockRuns: false);
        using TestClient client = await server.ConnectAsync();

        await PushAsync(client);
        await PushAsync(client);
        await server.AdvanceAsync(TimeSpan.FromSeconds(4.5));
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0));

        for (int i = 0; i < 3; i++) await PushAsync(client);
        await server.AdvanceAsync(TimeSpan.FromSeconds(10));
        Assert.Equal((2, 1), (gateway.Connections, server.Plane.OpenUpstreams));
    }

    /// <summary>The second one has the object of the first.</summary>
    [Fact]
    public async Task What_a_gateway_has_announced_on_one_connection_says_nothing_of_the_next()
    {
        await using ScriptedGateway gateway = Announcing((connection, _) => connection == 1 ? "timeout=5" : null);
        await using var server = new RunningForward([gateway.Address], loops: 1, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        await PushAsync(client);
        await server.AdvanceAsync(TimeSpan.FromSeconds(5));
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0));

        for (int i = 0; i < 2; i++)
        {
            await PushAsync(client);
            await server.AdvanceAsync(TimeSpan.FromSeconds(25));
        }

        Assert.Equal((2, 1), (gateway.Connections, server.Plane.OpenUpstreams));
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

    private static async Task PushAsync(TestClient client)
    {
        await client.SendAsync(Push);
        Assert.Equal(200, (await client.ReadAsync())!.Status);
    }

    /// <summary>A gateway that takes every push.</summary>
    /// <param name="announced">The Keep-Alive field of a response, by the numbers of its connection, from one, and of the response on it, from zero.</param>
    private static ScriptedGateway Announcing(Func<int, int, string?> announced)
    {
        int connections = 0;
        return new ScriptedGateway(async (socket, cancellation) =>
        {
            int connection = Interlocked.Increment(ref connections);
            var reader = new ContentReader(socket, cancellation);
            for (int response = 0; await reader.ReadHeadAsync() is { } head; response++)
            {
                await reader.SkipContentAsync(head);
                string fields = announced(connection, response) is { } value ? $"Connection: keep-alive\r\nKeep-Alive: {value}\r\n" : "";
                await ScriptedGateway.SendAsync(socket, $"HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n", cancellation);
            }
        });
    }
}
