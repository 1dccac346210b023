using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Tests.Discovery;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>An agent that responds at once, with 200 or not, and keeps nothing. With a real Consul: the functional tests.</summary>
public sealed class CleanupLeaseTests : IDisposable
{
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
            _ when request.StartsWith("PUT /v1/session/renew/", StringComparison.Ordinal) => (404, "Session id 's' not found"),
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
        Assert.InRange(await StepsAsync(consul, "PUT /v1/session/renew/"), 15, 41);
    }

    /// <returns>How many such requests there are from the second minute to the end of the third.</returns>
    private async Task<int> StepsAsync(FakeServer consul, string request)
    {
        var time = new FakeTimeProvider();
        using var stop = new CancellationTokenSource();
        using var lease = new CleanupLease(new ConsulOptions { Addr = consul.Address }, "test", static () => "f", _log, time);
        Task running = lease.RunAsync(stop.Token);
        await PassAsync(time, seconds: 60);
        int before = Count();
        await PassAsync(time, seconds: 120);
        int steps = Count() - before;
        await stop.CancelAsync();
        await running;
        return steps;

        int Count() => consul.Requests.Count(each => each.StartsWith(request, StringComparison.Ordinal));
    }

    /// <summary>A second at a time, each with time for several exchanges.</summary>
    private static async Task PassAsync(FakeTimeProvider time, int seconds)
    {
        for (int i = 0; i < seconds; i++)
        {
            await Task.Delay(30);
            time.Advance(TimeSpan.FromSeconds(1));
        }
    }
}
