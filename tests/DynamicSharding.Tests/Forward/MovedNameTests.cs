using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Outbound;
using DynamicSharding.Tests.Outbound;
using DynamicSharding.Tests.Server;

namespace DynamicSharding.Tests.Forward;

/// <summary>A gateway whose name moves, told by a name server: what waits at its old address when that is known.</summary>
public sealed class MovedNameTests : IDisposable
{
    private const string Push = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nv 1\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    private static readonly IPAddress Old = IPAddress.Parse("127.0.0.41");
    private static readonly IPAddress New = IPAddress.Parse("127.0.0.42");
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly ScriptedNameServer _names;
    private readonly NameResolver _resolver;
    private volatile IPAddress _address = Old;

    public MovedNameTests()
    {
        _names = new ScriptedNameServer(type => ScriptedNameServer.Response(ScriptedNameServer.NoError, type == ScriptedNameServer.A ? [_address.ToString()] : []));
        _resolver = new NameResolver(new NameServers(new DnsOptions { Resolvers = [_names.Address] }).Addresses, TimeProvider.System);
    }

    public void Dispose() => _names.Dispose();

    /// <summary>Eight are idle and four have a push, which ends there. Their loops use the idle ones in turn.</summary>
    [Fact]
    public async Task Kept_connections_to_the_old_address_get_no_push()
    {
        const int Idle = 8, Busy = 4;
        ConcurrentQueue<string> atOld = new();
        var arrived = new SemaphoreSlim(0);
        var allAreHere = new TaskCompletionSource();
        var mayEnd = new TaskCompletionSource();
        await using var old = new ScriptedGateway(
            async (socket, cancellation) =>
            {
                var reader = new ContentReader(socket, cancellation);
                while (await reader.ReadHeadAsync() is { } head)
                {
                    await reader.SkipContentAsync(head);
                    atOld.Enqueue(head);
                    arrived.Release();
                    await (head.Contains("/busy", StringComparison.Ordinal) ? mayEnd : allAreHere).Task.WaitAsync(cancellation);
                    await ScriptedGateway.SendAsync(socket, Ok, cancellation);
                }
            },
            address: Old);
        int port = IPEndPoint.Parse(old.Address).Port;
        await using ScriptedGateway next = Good(port);
        await using RunningForward server = Server(port);

        // All at once, so that each has a connection of its own.
        TestClient[] clients = [.. await Task.WhenAll(Enumerable.Range(0, Idle + Busy).Select(_ => server.ConnectAsync()))];
        foreach (TestClient client in clients) await client.SendAsync(Push);
        for (int i = 0; i < Idle + Busy; i++) Assert.True(await arrived.WaitAsync(Limit));
        allAreHere.SetResult();
        foreach (TestClient client in clients) Assert.Equal(200, (await client.ReadAsync())!.Status);
        foreach (TestClient client in clients[Idle..]) await client.SendAsync(Push.Replace("job/a", "job/busy", StringComparison.Ordinal));
        for (int i = 0; i < Busy; i++) Assert.True(await arrived.WaitAsync(Limit));
        Assert.Equal((Idle + Busy, Idle + Busy), (old.Connections, server.Plane.OpenUpstreams));

        await MoveAsync(server, port);

        // More than are idle, and those that were busy, too.
        mayEnd.SetResult();
        foreach (TestClient client in clients[Idle..]) Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.Equal(Idle + Busy, server.Plane.OpenUpstreams);
        for (int round = 0; round < 5; round++)
        {
            foreach (TestClient client in clients)
            {
                await client.SendAsync(Push);
                Assert.Equal(200, (await client.ReadAsync())!.Status);
            }
        }

        Assert.Equal(Idle + (2 * Busy), atOld.Count);
        Assert.Equal(Idle + Busy, old.Connections);
        Assert.NotEqual(0, next.Connections);
    }

    /// <summary>The old address takes no connection at first, and would take the push in the end.</summary>
    [Fact]
    public async Task A_connection_that_is_established_after_the_move_gets_no_push()
    {
        using FullListener old = FullListener.Start(Old);
        await using ScriptedGateway next = Good(old.Port);
        await using RunningForward server = Server(old.Port, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Push);
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 1));

        await MoveAsync(server, old.Port);
        Assert.Equal(0, next.Connections);
        Task<string> received = old.TakeNewAsync();

        Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.Equal(1, next.Connections);
        Assert.Equal("", await received.WaitAsync(Limit));
    }

    [Fact]
    public async Task A_push_that_waits_in_vain_for_the_old_address_goes_to_the_new_one()
    {
        using FullListener old = FullListener.Start(Old);
        await using ScriptedGateway next = Good(old.Port);
        await using RunningForward server = Server(old.Port, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Push);
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 1));

        await MoveAsync(server, old.Port);
        await server.AdvanceAsync(TimeSpan.FromSeconds(6));

        Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.Equal(1, next.Connections);
    }

    /// <summary>Nobody follows the name of a gateway that has left the ring.</summary>
    [Fact]
    public async Task A_push_whose_content_comes_after_its_gateway_has_left_goes_where_the_name_leads_now()
    {
        await using ScriptedGateway old = ScriptedGateway.Good(Old), other = ScriptedGateway.Good();
        int port = IPEndPoint.Parse(old.Address).Port;
        await using ScriptedGateway next = Good(port);
        await using RunningForward server = Server(port);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Push);
        Assert.Equal(200, (await client.ReadAsync())!.Status);
        await client.SendAsync(Push[..^8] + "\r\nExpect: 100-continue\r\n\r\n");
        byte[] interim = new byte["HTTP/1.1 100 Continue\r\n\r\n".Length];
        await client.Socket.ReceiveAsync(interim);
        Assert.StartsWith("HTTP/1.1 100 ", Encoding.ASCII.GetString(interim), StringComparison.Ordinal);

        server.Publish([other.Address]);
        server.Plane.Retire();
        Assert.Equal(0, server.Plane.Targets);
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0));
        _address = New;
        Assert.True(await RunningServer.UntilAsync(() => _resolver.ResolveAsync("gw.test", default).AsTask().GetAwaiter().GetResult().Contains(New)));
        await client.SendAsync(Push[^4..]);

        Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.Equal((1, 1), (old.Connections, next.Connections));
    }

    private async Task MoveAsync(RunningForward server, int port)
    {
        _address = New;
        Assert.True(await RunningServer.UntilAsync(() => server.EndpointsOf(Name(port)).Current!.Contains(New)));
    }

    private static string Name(int port) => string.Create(CultureInfo.InvariantCulture, $"gw.test:{port}");

    private static ScriptedGateway Good(int port) => ScriptedGateway.Good(New, port);

    private RunningForward Server(int port, bool clockRuns = true) => new([Name(port)], clockRuns: clockRuns, resolver: _resolver);

    /// <summary>Its queue of connections is full, so that the kernel drops the next one's SYN, which is sent again after one and three seconds.</summary>
    private sealed class FullListener : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly Socket[] _waiting = [.. Enumerable.Range(0, 4).Select(static _ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))];

        public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

        public static FullListener Start(IPAddress address)
        {
            FullListener full = new();
            full._listener.Bind(new IPEndPoint(address, 0));
            full._listener.Listen(0);
            foreach (Socket socket in full._waiting)
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                _ = socket.ConnectAsync(full._listener.LocalEndPoint!);
            }

            return full;
        }

        /// <summary>Makes room, until somebody else connects.</summary>
        /// <returns>All that comes on that connection.</returns>
        public async Task<string> TakeNewAsync()
        {
            HashSet<EndPoint> own = [.. _waiting.Select(static socket => socket.LocalEndPoint!)];
            while (true)
            {
                using Socket socket = await _listener.AcceptAsync();
                if (own.Contains(socket.RemoteEndPoint!)) continue;
                return await new StreamReader(new NetworkStream(socket)).ReadToEndAsync();
            }
        }

        public void Dispose()
        {
            foreach (Socket socket in _waiting) socket.Dispose();
            _listener.Dispose();
        }
    }
}
