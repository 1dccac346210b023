using System.Globalization;
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
        await using var gateway = new GatheringGateway(Pushes);
        await using var server = new RunningForward([gateway.Address], new ForwardOptions { MaxInFlight = Pushes }, loops: 1);
        await PushAtOnceAsync(server, Pushes);

        Assert.Equal(Pushes, gateway.Connections);
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 128), $"{server.Plane.OpenUpstreams} kept");
    }

    /// <summary>When the loop has its share of descriptors, all idle ones to another gateway, each push to this one closes one of them.</summary>
    [Fact]
    public async Task An_idle_connection_to_one_gateway_makes_room_for_one_to_another()
    {
        const int Share = 4;
        await using var first = new GatheringGateway(Share);
        await using var second = new GatheringGateway(Share);
        await using var server = new RunningForward([first.Address], loops: 1, maxUpstreams: Share);
        await PushAtOnceAsync(server, Share);
        Assert.Equal((Share, 0, Share), (first.Connections, first.Ended, server.Plane.OpenUpstreams));

        server.Publish([second.Address]);
        await PushAtOnceAsync(server, Share, async pushes =>
            Assert.True(await RunningServer.UntilAsync(() => first.Ended == pushes), $"{pushes} pushes have closed {first.Ended} connections"));

        Assert.Equal((Share, 0, Share), (second.Connections, second.Ended, server.Plane.OpenUpstreams));
        Assert.True(await RunningServer.UntilAsync(() => first.Ended == Share), $"{first.Ended} connections to the first gateway were closed");

        // One at a time takes the place of one, of the gateway that has them; and then the kept one is used.
        server.Publish([first.Address]);
        first.Gathers = 1;
        for (int i = 0; i < 3; i++) await PushAtOnceAsync(server, 1);
        Assert.Equal((Share + 1, Share), (first.Connections, server.Plane.OpenUpstreams));
        Assert.True(await RunningServer.UntilAsync(() => second.Ended == 1), $"{second.Ended} connections to the second gateway were closed");
    }

    /// <summary>The share bounds what is kept: with none idle, a push gets its connection all the same.</summary>
    [Fact]
    public async Task More_pushes_at_once_than_the_share_of_connections_are_all_forwarded()
    {
        const int Share = 4, Pushes = 20;
        await using var gateway = new GatheringGateway(Pushes);
        await using var server = new RunningForward([gateway.Address], loops: 1, maxUpstreams: Share);
        await PushAtOnceAsync(server, Pushes);

        Assert.Equal(Pushes, gateway.Connections);
        Assert.True(await RunningServer.UntilAsync(() => gateway.Ended == Pushes - Share), $"{gateway.Ended} connections were closed");
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == Share), $"{server.Plane.OpenUpstreams} kept");
    }

    /// <summary>Clients that change between gateways all the time, on a share that is less than one connection each: no push fails.</summary>
    [Fact]
    public async Task Pushes_to_many_gateways_on_a_small_share_do_not_fail()
    {
        const int Clients = 16, Pushes = 100, Share = 6;
        ScriptedGateway[] gateways = [.. Enumerable.Range(0, 5).Select(static _ => ScriptedGateway.Good())];
        await using (var server = new RunningForward(gateways.Select(static gateway => gateway.Address), loops: 2, maxUpstreams: Share))
        {
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(number => Task.Run(async () =>
            {
                using TestClient client = await server.ConnectAsync();
                for (int i = 0; i < Pushes; i++)
                {
                    await client.SendAsync(Push.Replace("/job/a", string.Create(CultureInfo.InvariantCulture, $"/job/{(number * Pushes) + i}"), StringComparison.Ordinal));
                    Assert.Equal(200, (await client.ReadAsync())!.Status);
                }
            })));
            Assert.All(gateways, static gateway => Assert.True(gateway.Connections > 0, "a gateway without a push"));
            Assert.True(gateways.Sum(static gateway => gateway.Connections) > 2 * Clients, "no connection made room for another");
            Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams <= Share), $"{server.Plane.OpenUpstreams} kept");
        }

        foreach (ScriptedGateway gateway in gateways) await gateway.DisposeAsync();
    }

    /// <summary>Each of these pushes on a connection of its own, and none has its response before all of them are at the gateway.</summary>
    /// <param name="whileWaiting">Called when one more waits for the last, with their number.</param>
    private static async Task PushAtOnceAsync(RunningForward server, int pushes, Func<int, Task>? whileWaiting = null)
    {
        var clients = new TestClient[pushes];
        for (int i = 0; i < pushes; i++)
        {
            clients[i] = await server.ConnectAsync();
            await clients[i].SendAsync(Push);
            if (i == pushes - 1) break;
            int inFlight = i + 1;
            Assert.True(await RunningServer.UntilAsync(() => server.InFlight == inFlight), $"{server.InFlight} in flight");
            if (whileWaiting is not null) await whileWaiting(inFlight);
        }

        foreach (TestClient client in clients)
        {
            Assert.Equal(200, (await client.ReadAsync())!.Status);
            client.Dispose();
        }
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

    /// <summary>Responds when as many pushes are here as it gathers.</summary>
    private sealed class GatheringGateway : IAsyncDisposable
    {
        private readonly ScriptedGateway _gateway;
        private readonly Lock _lock = new();
        private TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _here;
        private int _ended;

        public GatheringGateway(int gathers)
        {
            Gathers = gathers;
            _gateway = new ScriptedGateway(async (socket, cancellation) =>
            {
                var reader = new ContentReader(socket, cancellation);
                while (await reader.ReadHeadAsync() is { } head)
                {
                    await reader.SkipContentAsync(head);
                    await GatherAsync().WaitAsync(cancellation);
                    await ScriptedGateway.SendAsync(socket, Ok, cancellation);
                }

                Interlocked.Increment(ref _ended);
            });
        }

        public int Gathers { get; set; }

        public string Address => _gateway.Address;

        public int Connections => _gateway.Connections;

        /// <summary>Connections that the edge has closed.</summary>
        public int Ended => Volatile.Read(ref _ended);

        public ValueTask DisposeAsync() => _gateway.DisposeAsync();

        private Task GatherAsync()
        {
            lock (_lock)
            {
                TaskCompletionSource all = _all;
                if (++_here < Gathers) return all.Task;
                _here = 0;
                _all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                all.SetResult();
                return all.Task;
            }
        }
    }
}
