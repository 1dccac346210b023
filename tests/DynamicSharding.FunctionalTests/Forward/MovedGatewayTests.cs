using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A gateway that gets another address under its name, told by a real name server, while pushes come in.</summary>
public sealed class MovedGatewayTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Name = "gw.pgw.test";
    private const int Clients = 16;

    /// <summary>There and back.</summary>
    private const int Moves = 2;

    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(3);

    /// <summary>For the lookup itself, on a busy machine, and less than a second refresh.</summary>
    private static readonly TimeSpan Lookup = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Once_a_refresh_is_over_after_the_move_no_push_goes_to_the_old_address()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync((int)TimeToLive.TotalSeconds);
        int port = FreePort.Next();
        Stopwatch clock = Stopwatch.StartNew();
        await using CountingGateway first = new("127.0.2.1", port, clock), second = new("127.0.2.2", port, clock);
        await dns.SetRecordsAsync(DnsmasqProcess.Srv("_push._tcp.pgw.test", Name, port));
        dns.SetAddresses(new() { [Name] = [first.Ip] });
        string data = FreePort.NextAddress(), admin = FreePort.NextAddress(), forward = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"http_listen_addr: {data}\nadmin_listen_addr: {admin}\nforward_listen_addr: {forward}\ndiscovery: dns\n"
            + $"dns: {{ names: [_push._tcp.pgw.test], resolvers: [\"{dns.Address}\"] }}\npushgateway: {{ health_check: {{ enabled: false }} }}\n"
            + "shutdown: { drain_delay: 0s }\n",
            data,
            admin);
        await server.WaitUntilReadyAsync();

        using CancellationTokenSource stop = new();
        ConcurrentBag<int> statuses = [];
        Task[] clients = [.. Enumerable.Range(0, Clients).Select(client => Task.Run(() => PushAsync(client)))];
        (CountingGateway old, CountingGateway next) = (first, second);
        for (int move = 0; move < Moves; move++)
        {
            int before = old.Count;
            await Eventually.TrueAsync(() => Task.FromResult(old.Count > before + (20 * Clients)), Limit, () => "pushes at the old address");
            Assert.True(old.Open >= 4, $"{old.Open} connections are kept");
            dns.SetAddresses(new() { [Name] = [next.Ip] });
            await Eventually.TrueAsync(() => dns.HasAddressAsync(Name, next.Ip), Limit, () => "the name server knows of the move");
            TimeSpan moved = clock.Elapsed;

            // As long as before this was promised, and longer; meanwhile pushes go on.
            before = next.Count;
            await Eventually.TrueAsync(
                () => Task.FromResult(clock.Elapsed - moved > TimeToLive + TimeToLive + Lookup && next.Count > before + (20 * Clients)), Limit, () => "pushes at the new address");
            Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{old.Ip}: last push {(old.Last - moved).TotalSeconds:0.00} s after the move; {old.Open} connections left"));
            Assert.True(old.Last - moved <= TimeToLive + Lookup, $"a push went to the old address {old.Last - moved} after the move");
            (old, next) = (next, old);
        }

        await stop.CancelAsync();
        await Task.WhenAll(clients);
        Assert.All(statuses, static status => Assert.Equal(200, status));
        return;

        async Task PushAsync(int client)
        {
            using RawHttp connection = await RawHttp.ConnectAsync(forward);
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                await connection.SendAsync(ForwardServer.Put(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{client}"), $"v {i}\n"));
                statuses.Add(ForwardServer.StatusOf(await connection.ReadReplyAsync()));
            }
        }
    }

    /// <summary>Responds after a moment, so that pushes overlap and each has a connection of its own.</summary>
    private sealed class CountingGateway : IAsyncDisposable
    {
        private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(10);

        private readonly LoopbackServer _server;
        private int _count;
        private int _open;
        private long _last;

        public CountingGateway(string ip, int port, Stopwatch clock)
        {
            Ip = ip;
            string address = string.Create(CultureInfo.InvariantCulture, $"{ip}:{port}");
            _server = new LoopbackServer(
                async (socket, cancellation) =>
                {
                    Interlocked.Increment(ref _open);
                    try
                    {
                        var reader = new RequestReader(socket, address);
                        while (await reader.ReadAsync(cancellation) is not null)
                        {
                            Interlocked.Exchange(ref _last, clock.Elapsed.Ticks);
                            Interlocked.Increment(ref _count);
                            await Task.Delay(Moment, cancellation);
                            await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
                        }
                    }
                    finally
                    {
                        Interlocked.Decrement(ref _open);
                    }
                },
                address);
        }

        public string Ip { get; }

        public int Count => Volatile.Read(ref _count);

        /// <summary>Connections.</summary>
        public int Open => Volatile.Read(ref _open);

        /// <summary>When the last push was here.</summary>
        public TimeSpan Last => new(Interlocked.Read(ref _last));

        public ValueTask DisposeAsync() => _server.DisposeAsync();
    }
}
