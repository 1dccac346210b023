using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using DynamicSharding.Forward;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using DynamicSharding.Tests.Forward;
using DynamicSharding.Tests.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.ObjectPool;
using static DynamicSharding.Tests.Server.Insides;

namespace DynamicSharding.Tests.Server;

/// <summary>Connections serve one client after the other: nothing of one reaches the next.</summary>
public sealed class ReuseTests
{
    /// <summary>Of the listeners of <see cref="RunningForward"/>.</summary>
    private const int Forward = 0;

    /// <inheritdoc cref="Forward"/>
    private const int Redirect = 1;

    private const string Push = "PUT /metrics/job/next/instance/client HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na 1\n";

    /// <summary>Heads and content, well-formed and not, that end anywhere.</summary>
    private static readonly byte[][] Streams =
    [
        .. HeadSamples.Taken.Select(ParsedHead.Bytes),
        .. HeadSamples.Refused.Select(sample => ParsedHead.Bytes(sample.Head)),
        Encoding.ASCII.GetBytes("PUT /metrics/job/first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nmarker 1\nmarker"),
        Encoding.ASCII.GetBytes("PUT /metrics/job/first HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + new string('m', 70_000)),
        Encoding.ASCII.GetBytes("POST /metrics/job/first HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 9\r\n\r\nmarker 1\nPUT /metrics/job/fir"),
        Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + new string('m', 30_000)),
    ];

    /// <summary>What the gateway has got of the next clients, head and content.</summary>
    private readonly ConcurrentQueue<string> _nextPushes = new();

    [Theory]
    [InlineData(Forward)]
    [InlineData(Redirect)]
    public async Task The_next_client_gets_the_response_of_a_first_one(int listener)
    {
        await using ScriptedGateway gateway = Recorder();
        await using var plane = new RunningForward([gateway.Address], loops: 1);
        string expected = await ExchangeAsync(plane, listener, Push);
        Assert.StartsWith(listener == Redirect ? "HTTP/1.1 307 " : "HTTP/1.1 202 ", expected, StringComparison.Ordinal);
        string forwarded = listener == Forward ? Assert.Single(_nextPushes) : "";
        if (listener == Forward) Assert.Contains($"\r\nVia: 1.1 {Encoding.ASCII.GetString(plane.Plane.Pseudonym)}\r\n", forwarded, StringComparison.Ordinal);
        _nextPushes.Clear();
        var random = new Random(1);
        foreach (byte[] stream in Streams)
        {
            foreach (int cut in (int[])[stream.Length, random.Next(stream.Length + 1), random.Next(stream.Length + 1)])
            {
                using (var client = Connect(plane, listener))
                {
                    await client.SendAsync(stream.AsMemory(0, cut));
                    if (cut % 2 == 0) client.LingerState = new LingerOption(true, 0);
                }

                Assert.Equal(expected, await ExchangeAsync(plane, listener, Push));
                if (listener == Forward) Assert.Equal(forwarded, Assert.Single(_nextPushes));
                _nextPushes.Clear();
            }
        }

        Assert.True(await RunningServer.UntilAsync(() => plane.Server.OpenConnections == 0));
        Assert.Equal(0, plane.Server.KeptBuffers);
    }

    [Theory]
    [InlineData(Forward)]
    [InlineData(Redirect)]
    public async Task A_used_connection_is_like_a_new_one(int listener)
    {
        await using ScriptedGateway gateway = Recorder();
        await using var plane = new RunningForward([gateway.Address], loops: 1);
        foreach (byte[] stream in Streams)
        {
            using (var client = Connect(plane, listener)) await client.SendAsync(stream);
            Assert.True(await RunningServer.UntilAsync(() => plane.Server.OpenConnections == 0));
            await ExchangeAsync(plane, listener, Push, "Connection: close\r\n");
            Assert.True(await RunningServer.UntilAsync(() => plane.Server.OpenConnections == 0));
            await OnLoopAsync(plane, listener, (connection, pool, newSession) =>
            {
                HttpSession session = Field<HttpSession>(connection, "_session");
                SocketPipeReader reader = Field<SocketPipeReader>(connection, "_reader");
                LoopSocket socket = Field<LoopSocket>(connection, "_socket");
                connection.Reset();
                socket.Open(-1);
                HttpSession fresh = newSession(connection);
                Assert.Equal(State(new Connection(connection.Loop, Field<ConnectionLimit>(connection, "_limit"), newSession, NullLogger.Instance, pool)), State(connection));
                Assert.Equal(State(fresh), State(session));
                Assert.Equal(State(new SocketPipeReader(new LoopSocket(connection.Loop), takesContent: fresh.Forwards)), State(reader));
                Assert.Equal(State(new LoopSocket(connection.Loop)), State(socket));
                if (listener == Forward) AssertUpstreamsAreLikeNew(Field<ForwardLoop>(session, "<forward>P"));
            });
        }
    }

    /// <summary>Of the loop's idle connections to gateways, once they are closed.</summary>
    private static void AssertUpstreamsAreLikeNew(ForwardLoop forward)
    {
        int compared = 0;
        foreach (UpstreamPool pool in Field<Dictionary<Gateway, UpstreamPool>>(forward, "_pools").Values)
        {
            foreach (Upstream used in Field<List<Upstream>>(pool, "_idle").ToArray())
            {
                Assert.NotEqual(State(new Upstream(forward)), State(used));
                pool.Drop(used);
                used.Socket.Open(-1);
                Assert.Equal(State(new Upstream(forward)), State(used));
                Assert.Equal(State(new LoopSocket(forward.Loop)), State(used.Socket));
                compared++;
            }
        }

        Assert.True(compared > 0, "no connection to a gateway was kept");
    }

    /// <summary>All that can change in an object: values, and which references are null. What it is made of is looked into.</summary>
    private static List<string> State(object of)
    {
        List<string> state = [];
        Add(of, of.GetType().Name);
        return state;

        void Add(object value, string path)
        {
            for (Type? type = value.GetType(); type is not null && type != typeof(object) && type != typeof(ValueType); type = type.BaseType)
            {
                foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
                {
                    string name = $"{path}.{field.Name}";

                    // A slot is given by the loop; a version tells one wait from the next; a pooled socket waits for its client; callbacks hold no bytes.
                    if (name.EndsWith("Slot>k__BackingField", StringComparison.Ordinal) || field.Name is "_readiness" or "_waiting" or "_pushNumber" or "_verification") continue;
                    if (field.Name.Contains("Owner", StringComparison.Ordinal)) continue;
                    object? now = field.GetValue(value);
                    if (now is null || field.FieldType.IsPrimitive || field.FieldType.IsEnum || now is string) state.Add($"{name} = {now ?? "null"}");
                    else if (field.FieldType.IsValueType) Add(now, name);
                    else if (field.IsInitOnly && now is RequestStage or ResponseRelay) Add(now, name);
                    else if (!field.IsInitOnly) state.Add($"{name} is set");
                }
            }
        }
    }

    /// <summary>Takes every push, and responds to each piece of it.</summary>
    private ScriptedGateway Recorder() => new(async (socket, cancellation) =>
    {
        byte[] buffer = new byte[128 * 1024];
        while (await socket.ReceiveAsync(buffer, cancellation) is > 0 and int length)
        {
            string push = Encoding.ASCII.GetString(buffer, 0, length);
            if (push.StartsWith(Push[..Push.IndexOf(" HTTP", StringComparison.Ordinal)], StringComparison.Ordinal)) _nextPushes.Enqueue(push);
            await ScriptedGateway.SendAsync(socket, "HTTP/1.1 202 Accepted\r\nKeep-Alive: timeout=20\r\nContent-Length: 0\r\n\r\n", cancellation);
        }
    });

    private static Socket Connect(RunningForward plane, int listener)
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(plane.Server.EndPoints[listener]);
        return client;
    }

    /// <returns>The response without its date.</returns>
    private static async Task<string> ExchangeAsync(RunningForward plane, int listener, string push, string field = "")
    {
        using Socket client = Connect(plane, listener);
        await client.SendAsync(Encoding.ASCII.GetBytes(push.Replace("Host: x\r\n", "Host: x\r\n" + field, StringComparison.Ordinal)));
        byte[] buffer = new byte[4096];
        int length = 0;
        while (!Encoding.ASCII.GetString(buffer, 0, length).Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            int received = await client.ReceiveAsync(buffer.AsMemory(length)).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            Assert.NotEqual(0, received);
            length += received;
        }

        return string.Join("\r\n", Encoding.ASCII.GetString(buffer, 0, length).Split("\r\n").Where(line => !line.StartsWith("Date:", StringComparison.Ordinal)));
    }

    /// <summary>Runs an action with the connection that the listener would use next, on its loop's thread.</summary>
    private static async Task OnLoopAsync(RunningForward plane, int listener, Action<Connection, ObjectPool<Connection>, Func<Connection, HttpSession>> action)
    {
        Listener shares = Field<Listener[]>(Field<DataListener[]>(plane.Server, "_listeners")[listener], "_listeners")[0];
        ObjectPool<Connection> pool = Field<DefaultObjectPool<Connection>>(shares, "_connections");
        await Insides.OnLoopAsync(plane.Server, () =>
        {
            Connection connection = pool.Get();
            action(connection, pool, listener == Redirect ? DataServer.NewRedirectSession : plane.Plane.NewSession);
            pool.Return(connection);
            return true;
        });
    }
}
