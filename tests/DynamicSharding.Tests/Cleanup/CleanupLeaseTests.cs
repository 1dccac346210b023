using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Tests.Discovery;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>An agent that responds at once, with 200 or not, and keeps nothing. With a real Consul: the functional tests.</summary>
public sealed class CleanupLeaseTests : IDisposable
{
    private const string Renewal = "PUT /v1/session/renew/";

    private readonly LogCapture _log = new();

    public void Dispose() => _log.Dispose();

    /// <summary>Every three seconds would be 40 times in two minutes.</summary>
    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public async Task Sessions_that_are_lost_again_and_again_are_created_less_and_less_often(string acquired)
    {
        await using FakeServer consul = FakeServer.Always(request => request switch
        {
            _ when request.StartsWith("PUT /v1/session/create", StringComparison.Ordinal) => (200, """{"ID":"s"}"""),
            _ when request.StartsWith(Renewal, StringComparison.Ordinal) => (404, "Session id 's' not found"),
            _ when request.StartsWith("GET /v1/kv/", StringComparison.Ordinal) => (404, ""),
            _ => (200, acquired),
        });
        Assert.InRange(await StepsAsync(consul, "PUT /v1/session/create"), 2, 22);
    }

    [Fact]
    public async Task An_agent_that_fails_is_asked_less_and_less_often()
    {
        await using FakeServer consul = FakeServer.Always(static _ => (500, "No cluster leader"));
        Assert.InRange(await StepsAsync(consul, "PUT /v1/session/create"), 2, 22);
        Assert.Equal(1, _log.Count("cannot ask for the cleanup lease"));
    }

    /// <summary>What is renewed at a steady pace stays held.</summary>
    [Fact]
    public async Task A_lease_that_is_held_is_renewed_every_three_seconds()
    {
        await using FakeServer consul = FakeServer.Always(static request => request switch
        {
            _ when request.StartsWith("PUT /v1/session/create", StringComparison.Ordinal) => (200, """{"ID":"s"}"""),
            _ when request.StartsWith("GET /v1/kv/", StringComparison.Ordinal) => (200, "[]"),
            _ => (200, "true"),
        });
        Assert.InRange(await StepsAsync(consul, Renewal), 39, 41);
    }

    /// <summary>The pauses of the outage are longer than the lease lasts: the first renewal after it must not be late.</summary>
    [Fact]
    public async Task A_lease_that_is_got_back_after_an_outage_stays_held()
    {
        bool isOut = false, isSessionGone = false;
        await using FakeServer consul = FakeServer.Always(request =>
        {
            if (isOut) return (500, "No cluster leader");
            if (request.StartsWith("PUT /v1/session/create", StringComparison.Ordinal)) return (200, """{"ID":"s"}""");
            if (request.StartsWith("GET /v1/kv/", StringComparison.Ordinal)) return (200, "[]");
            if (!request.StartsWith(Renewal, StringComparison.Ordinal) || !isSessionGone) return (200, "true");
            isSessionGone = false;
            return (404, "Session id 's' not found");
        });
        PacedTime time = NewTime();
        using var stop = new CancellationTokenSource();
        using var lease = new CleanupLease(new ConsulOptions { Addr = consul.Address }, "test", static () => "f", _log, time);
        Task running = lease.RunAsync(stop.Token);

        // Several, because a pause is short by luck now and then.
        for (int outage = 0; outage < 5; outage++)
        {
            await time.PassAsync(10);
            Assert.True(lease.IsHeld);
            isOut = isSessionGone = true;
            await time.PassAsync(300);
            Assert.False(lease.IsHeld);
            isOut = false;
            for (int second = 0; second < 31 && !lease.IsHeld; second++) await time.PassAsync(1);
            int before = Count(consul, Renewal);
            await time.PassAsync(12);
            Assert.InRange(Count(consul, Renewal) - before, 3, 5);
            Assert.Equal(outage + 1, _log.Count("no longer holding the cleanup lease"));
        }

        await stop.CancelAsync();
        await running;
    }

    /// <returns>How many such requests there are from the second minute to the end of the third.</returns>
    private async Task<int> StepsAsync(FakeServer consul, string request)
    {
        PacedTime time = NewTime();
        using var stop = new CancellationTokenSource();
        using var lease = new CleanupLease(new ConsulOptions { Addr = consul.Address }, "test", static () => "f", _log, time);
        Task running = lease.RunAsync(stop.Token);
        await time.PassAsync(60);
        int before = Count(consul, request);
        await time.PassAsync(120);
        int steps = Count(consul, request) - before;
        await stop.CancelAsync();
        await running;
        return steps;
    }

    /// <summary>Timers of requests belong to other things than tasks.</summary>
    private static PacedTime NewTime() => new(static state => state is Task);

    private static int Count(FakeServer consul, string request) => consul.Requests.Count(each => each.StartsWith(request, StringComparison.Ordinal));
}
