using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using DynamicSharding.Tests.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.ObjectPool;

namespace DynamicSharding.Tests.Server;

/// <summary>Connections serve one client after the other: nothing of one reaches the next.</summary>
public sealed class ReuseTests
{
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

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task The_next_client_gets_the_response_of_a_first_one(int listener)
    {
        await using var plane = new Plane();
        string expected = await plane.ExchangeAsync(listener, Push);
        Assert.StartsWith(listener == 0 ? "HTTP/1.1 307 " : "HTTP/1.1 202 ", expected, StringComparison.Ordinal);
        var random = new Random(1);
        foreach (byte[] stream in Streams)
        {
            foreach (int cut in (int[])[stream.Length, random.Next(stream.Length + 1), random.Next(stream.Length + 1)])
            {
                using (var client = plane.Connect(listener))
                {
                    await client.SendAsync(stream.AsMemory(0, cut));
                    if (cut % 2 == 0) client.LingerState = new LingerOption(true, 0);
                }

                Assert.Equal(expected, await plane.ExchangeAsync(listener, Push));
            }
        }

        Assert.DoesNotContain("marker", plane.LastPush, StringComparison.Ordinal);
        Assert.True(await RunningServer.UntilAsync(() => plane.Server.OpenConnections == 0));
        Assert.Equal(0, plane.Server.KeptBuffers);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_used_connection_is_like_a_new_one(int listener)
    {
        await using var plane = new Plane();
        foreach (byte[] stream in Streams)
        {
            using (var client = plane.Connect(listener)) await client.SendAsync(stream);
            Assert.True(await RunningServer.UntilAsync(() => plane.Server.OpenConnections == 0));
            await plane.ExchangeAsync(listener, Push, "Connection: close\r\n");
            Assert.True(await RunningServer.UntilAsync(() => plane.Server.OpenConnections == 0));
            await plane.OnLoopAsync(listener, static (connection, newSession) =>
            {
                HttpSession session = Field<HttpSession>(connection, "_session");
                SocketPipeReader reader = Field<SocketPipeReader>(connection, "_reader");
                LoopSocket socket = Field<LoopSocket>(connection, "_socket");
                session.Reset();
                reader.Reset();
                socket.Open(-1);
                HttpSession fresh = newSession(connection);
                Assert.Equal(State(fresh), State(session));
                Assert.Equal(State(new SocketPipeReader(new LoopSocket(connection.Loop), takesContent: fresh.Forwards)), State(reader));
                Assert.Equal(State(new LoopSocket(connection.Loop)), State(socket));
            });
        }
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
                    if (name.EndsWith("Slot>k__BackingField", StringComparison.Ordinal) || field.Name is "_readiness" or "_waiting" or "_pushNumber" or "_client" or "_whenKnown" or "_peer") continue;
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

    private static T Field<T>(object of, string name) =>
        (T)of.GetType().GetField(name, BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(of)!;

    /// <summary>A redirect and a forward listener on one loop, and a gateway that takes every push.</summary>
    private sealed class Plane : IAsyncDisposable
    {
        private readonly Socket _gateway = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly ForwardPlane _forward;

        public Plane()
        {
            _gateway.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _gateway.Listen(128);
            _ = AcceptAsync();
            var address = new ListenAddress(IPAddress.Loopback, 0);
            ServerOptions options = new() { HttpListenAddr = address, ForwardListenAddr = address };
            _forward = new ForwardPlane(options, new ForwardCounters(1), 64, NullLoggerFactory.Instance, TimeProvider.System);
            var ring = new ActiveRing();
            ring.Publish(HashRing<Gateway>.Build([new GatewayRegistry(1, "http", "").For(_gateway.LocalEndPoint!.ToString()!)], 100, "group"));
            var readiness = new Readiness();
            readiness.SetReady();
            DataAddress[] addresses =
            [
                new(DataAddresses.Data, "http_listen_addr", address, DataServer.NewRedirectSession),
                new(DataAddresses.Forward, "forward_listen_addr", address, _forward.NewSession),
            ];
            Server = new DataServer(options, addresses, ring, readiness, new DataPlaneCounters(1), authorize: null, NullLoggerFactory.Instance, TimeProvider.System);
            Server.Start();
        }

        public DataServer Server { get; }

        /// <summary>What the gateway has got last, head and content.</summary>
        public string LastPush { get; private set; } = "";

        public Socket Connect(int listener)
        {
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(Server.EndPoints[listener]);
            return client;
        }

        /// <returns>The response without its date.</returns>
        public async Task<string> ExchangeAsync(int listener, string push, string field = "")
        {
            using Socket client = Connect(listener);
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
        public async Task OnLoopAsync(int listener, Action<Connection, Func<Connection, HttpSession>> action)
        {
            EventLoop loop = Field<EventLoop[]>(Server, "_loops")[0];
            Listener shares = Field<Listener[]>(Field<DataListener[]>(Server, "_listeners")[listener], "_listeners")[0];
            ObjectPool<Connection> pool = Field<DefaultObjectPool<Connection>>(shares, "_connections");
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            loop.Post(() =>
            {
                try
                {
                    Connection connection = pool.Get();
                    action(connection, listener == 0 ? DataServer.NewRedirectSession : _forward.NewSession);
                    pool.Return(connection);
                    done.SetResult();
                }
                catch (Exception e)
                {
                    done.SetException(e);
                }
            });
            await done.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }

        public async ValueTask DisposeAsync()
        {
            await Server.StopAsync(TimeSpan.FromSeconds(1));
            Server.Dispose();
            _forward.Dispose();
            _gateway.Dispose();
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true) _ = RespondAsync(await _gateway.AcceptAsync());
            }
            catch (SocketException)
            {
                // The end of the test.
            }
        }

        private async Task RespondAsync(Socket connection)
        {
            using (connection)
            {
                byte[] buffer = new byte[128 * 1024];
                while (true)
                {
                    int length = await connection.ReceiveAsync(buffer);
                    if (length == 0) return;
                    LastPush = Encoding.ASCII.GetString(buffer, 0, length);
                    await connection.SendAsync("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
                }
            }
        }
    }
}
