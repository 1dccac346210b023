using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Discovery;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>What a pass costs gateways, and this process.</summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed class CleanupLoadTests
{
    private const string Old = "old:9091", Owner = "owner:9091";

    [Fact]
    public async Task A_gateway_has_one_delete_in_flight_and_none_while_its_write_queue_is_full()
    {
        var network = new Network(static _ => 120) { FullAfter = 50, FullFor = 2 };
        CleanupReport report = await PassAsync(network);

        Assert.Equal(120, report.Deleted[(int)DeleteReason.Stale]);
        Assert.Equal(1, network.MostInFlight);
        Assert.Equal(0, network.DeletesWhileFull);
        Assert.True(report.Duration >= TimeSpan.FromSeconds(40), $"two pauses of 5 s and the 30 s between the readings, not {report.Duration}");
        Assert.Equal(1, network.MostReadings);
    }

    [Fact]
    public async Task A_queue_that_stays_full_leaves_the_copies_for_the_next_pass()
    {
        var network = new Network(static _ => 10) { FullAfter = 0, FullFor = int.MaxValue };
        CleanupReport report = await PassAsync(network);

        Assert.Equal((0L, 10L), (report.Deleted.Sum(), report.Left[(int)LeftReason.Overloaded]));
    }

    /// <summary>What was kept is done, and the rest is counted: another pass follows.</summary>
    [Fact]
    public async Task Copies_that_find_no_room_are_counted_and_left()
    {
        CleanupReport report = await PassAsync(new Network(static _ => 50) { FullAfter = int.MaxValue }, new CleanupSubjects(mostGroups: 20));

        Assert.Equal((20L, 30L), (report.Deleted[(int)DeleteReason.Stale], report.Left[(int)LeftReason.NoRoom]));
        Assert.True(report.IsPartial);
        Assert.False(report.IsSuccess);
    }

    /// <summary>100,000 groups of 1 KiB: 100 MB of JSON. At most 32 MiB live at any time, measured while the last gateway is read.</summary>
    [Fact]
    public async Task A_pass_over_many_groups_keeps_none_that_is_in_its_place()
    {
        const int Groups = 100_000;
        long before = GC.GetTotalMemory(forceFullCollection: true), most = 0;
        using var client = new PushgatewayClient(new PushgatewayOptions(), new Endless(Groups, () => most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true))), TimeProvider.System);
        var inputs = Inputs(RingOf(Owner), Owner);
        CleanupReport report = await new CleanupPass(inputs, client, TimeSpan.Zero, NullLogger.Instance, TimeProvider.System).RunAsync(CancellationToken.None);

        Assert.Equal((Groups, 0L), ((int)report.Groups, report.Misplaced));
        Assert.True(report.IsSuccess);
        Assert.True(most - before <= 32 << 20, $"{most - before} bytes more");
    }

    /// <summary>What has been decided on must not wait until a large gateway has been read.</summary>
    [Fact]
    public async Task A_delete_does_not_wait_for_readings()
    {
        await using var gateway = new FakeServer(static (request, socket, stop) =>
            request.StartsWith("DELETE ", StringComparison.Ordinal) ? FakeServer.Reply(socket, "", 202) : Task.Delay(Timeout.Infinite, stop));
        using var client = new PushgatewayClient(new PushgatewayOptions(), tls: null, TimeProvider.System);
        using var stop = new CancellationTokenSource();
        Task[] readings = [.. Enumerable.Range(0, 3).Select(_ => ReadAsync(client, gateway.Address, stop.Token))];
        await Eventually.True(() => gateway.Requests.Count >= 2, "readings that have no response yet");

        Assert.True(await client.DeleteAsync(gateway.Address, "/metrics/job@base64/YQ", CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.All(readings, static reading => Assert.False(reading.IsCompleted));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(readings));
    }

    /// <summary>It is never silent for long, but it would keep the other gateways waiting forever.</summary>
    [Fact]
    public async Task A_gateway_whose_response_does_not_end_is_given_up_after_two_minutes()
    {
        var clock = new FakeTimeProvider();
        using var client = new PushgatewayClient(new PushgatewayOptions(), new Dripping(clock), clock);
        PushgatewayException error = await Assert.ThrowsAsync<PushgatewayException>(() => ReadAsync(client, Old, CancellationToken.None));
        Assert.Contains("the response takes more than 2 min", error.Message, StringComparison.Ordinal);
    }

    private static async Task ReadAsync(PushgatewayClient client, string address, CancellationToken stop)
    {
        await foreach (PushgatewayGroup _ in client.GroupsAsync(address, stop))
        {
        }
    }

    private static HashRing<Gateway> RingOf(string member) => HashRing<Gateway>.Build([new Gateway(member, [], [], new PerLoopCounter(1))], 10, "group");

    private static CleanupInputs Inputs(HashRing<Gateway> ring, params string[] targets) => new()
    {
        Ring = ring,
        Targets = [.. targets.Select(static address => new CleanupTarget(address, null))],
        Options = new CleanupOptions { Enabled = true },
        Deletes = new RememberedDeletes(),
        HoldsLease = true,
        WhyStop = static () => null,
    };

    private static Task<CleanupReport> PassAsync(Network network, CleanupSubjects? subjects = null) => Task.Run(async () =>
    {
        var clock = new SimulatedClock();
        network.Clock = clock;
        using var client = new PushgatewayClient(new PushgatewayOptions(), network, clock);
        Task<CleanupReport> pass = new CleanupPass(Inputs(RingOf(Owner), Old, Owner), client, CleanupPass.BetweenReadings, NullLogger.Instance, clock, subjects).RunAsync(CancellationToken.None);
        clock.RunUntil(TimeSpan.FromMinutes(30));
        return await pass.WaitAsync(TimeSpan.FromSeconds(30));
    });

    private static string Group(string job, int time, string help) => string.Create(
        CultureInfo.InvariantCulture,
        $$$$"""{"labels":{"job":"{{{{job}}}}"},"last_push_successful":true,"push_time_seconds":{"time_stamp":"t","type":"GAUGE","help":"{{{{help}}}}","metrics":[{"labels":{},"value":"{{{{time}}}}"}] } }""");

    private static HttpResponseMessage Respond(HttpStatusCode status, HttpContent content, DateTimeOffset now)
    {
        var response = new HttpResponseMessage(status) { Content = content };
        response.Headers.Date = now;
        return response;
    }

    private static StringContent StatusContent() => new("""{"status":"success","data":{"flags":{},"start_time":"s"} }""");

    /// <summary>Two gateways with the same groups, newer on the owner.</summary>
    private sealed class Network(Func<string, int> groups) : HttpMessageHandler
    {
        private int _deleted, _inFlight, _readings, _fullChecks;

        public SimulatedClock Clock { get; set; } = null!;

        public int FullAfter { get; init; }

        public int FullFor { get; init; }

        public int MostInFlight { get; private set; }

        public int MostReadings { get; private set; }

        public int DeletesWhileFull { get; private set; }

        private bool IsFull => _deleted >= FullAfter && _fullChecks < FullFor;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            string path = request.RequestUri!.AbsolutePath, address = request.RequestUri.Authority;
            if (request.Method == HttpMethod.Delete)
            {
                MostInFlight = Math.Max(MostInFlight, ++_inFlight);
                if (IsFull) DeletesWhileFull++;
                await Task.Delay(TimeSpan.FromMilliseconds(1), Clock, cancellationToken);
                _inFlight--;
                _deleted++;
                return Respond(HttpStatusCode.Accepted, new StringContent(""), Clock.GetUtcNow());
            }

            if (path == "/-/healthy" && IsFull)
            {
                _fullChecks++;
                return Respond(HttpStatusCode.InternalServerError, new StringContent("write queue is full"), Clock.GetUtcNow());
            }

            if (path != "/api/v1/metrics") return Respond(HttpStatusCode.OK, path == "/api/v1/status" ? StatusContent() : new StringContent("OK"), Clock.GetUtcNow());
            MostReadings = Math.Max(MostReadings, ++_readings);
            await Task.Delay(TimeSpan.FromMilliseconds(100), Clock, cancellationToken);
            _readings--;
            int first = address == Old ? _deleted : 0;
            IEnumerable<string> found = Enumerable.Range(first, groups(address) - first).Select(i => Group($"j{i}", address == Owner ? 1_700_000_000 : 1_600_000_000, "h"));
            return Respond(HttpStatusCode.OK, new StringContent($$"""{"status":"success","data":[{{string.Join(',', found)}}]}"""), Clock.GetUtcNow());
        }
    }

    /// <summary>A gateway whose groups are made while they are read.</summary>
    private sealed class Endless(int groups, Action atTheEnd) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => Task.FromResult(Respond(
            HttpStatusCode.OK,
            request.RequestUri!.AbsolutePath == "/api/v1/metrics" ? new StreamContent(new Groups(groups, atTheEnd)) : StatusContent(),
            DateTimeOffset.UtcNow));

        private sealed class Groups(int groups, Action atTheEnd) : Stream
        {
            private static readonly string Help = new('h', 900);

            private int _next = -1;
            private byte[] _rest = [];

            public override bool CanRead => true;

            public override bool CanSeek => false;

            public override bool CanWrite => false;

            public override long Length => throw new NotSupportedException();

            public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

            public override int Read(byte[] buffer, int offset, int count)
            {
                if (_rest.Length == 0)
                {
                    if (_next > groups) return 0;
                    if (_next == groups) atTheEnd();
                    string text = _next < 0 ? """{"status":"success","data":[""" : _next == groups ? "]}" : (_next == 0 ? "" : ",") + Group($"job-{_next}", 1_700_000_000 + _next, Help);
                    _rest = Encoding.ASCII.GetBytes(text);
                    _next++;
                }

                int length = Math.Min(count, _rest.Length);
                _rest.AsSpan(0, length).CopyTo(buffer.AsSpan(offset));
                _rest = _rest[length..];
                return length;
            }

            public override void Flush() => throw new NotSupportedException();

            public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

            public override void SetLength(long value) => throw new NotSupportedException();

            public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        }
    }

    /// <summary>A byte every ten seconds.</summary>
    private sealed class Dripping(FakeTimeProvider clock) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(Respond(HttpStatusCode.OK, new StreamContent(new Drops(clock)), clock.GetUtcNow()));

        private sealed class Drops(FakeTimeProvider clock) : MemoryStream
        {
            public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            {
                clock.Advance(TimeSpan.FromSeconds(10));
                buffer.Span[0] = (byte)' ';
                return ValueTask.FromResult(1);
            }
        }
    }
}
