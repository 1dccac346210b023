using System.Net;
using System.Net.Sockets;
using DynamicSharding.Forward;
using DynamicSharding.Outbound;
using DynamicSharding.Tests.Server;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Forward;

/// <summary>When a gateway's name is looked up, and what stays while that fails.</summary>
public sealed class GatewayEndpointsTests
{
    private static readonly IPAddress First = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress Second = IPAddress.Parse("127.0.0.3");

    private readonly TimerClock _time = new();
    private volatile IPAddress[]? _addresses;
    private int _lookups;

    [Fact]
    public async Task Without_any_address_the_next_lookup_is_a_second_later()
    {
        using GatewayEndpoints endpoints = New();
        for (int lookups = 1; lookups <= 3; lookups++)
        {
            await WaitForLookupsAsync(lookups);
            Assert.True(await RunningServer.UntilAsync(() => endpoints.Error is not null));
            Assert.Null(endpoints.Current);
            await NoLookupWithinAsync(TimeSpan.FromSeconds(0.5), lookups);
            if (lookups == 3) _addresses = [First];
            await NextLookupAsync(lookups + 1);
        }

        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current is not null));
        Assert.Equal([First], endpoints.Current!.Addresses);

        // From now on the resolver's own pace.
        await NoLookupWithinAsync(NameResolver.MaxAge - TimeSpan.FromSeconds(3), 4);
        await NextLookupAsync(5);
    }

    [Fact]
    public async Task The_last_good_addresses_stay_while_lookups_fail()
    {
        _addresses = [First];
        using GatewayEndpoints endpoints = New();
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current is not null));
        EndpointList good = endpoints.Current!;

        _addresses = null;
        for (int lookups = 2; lookups <= 4; lookups++)
        {
            await NextLookupAsync(lookups);
            Assert.Same(good, endpoints.Current);
        }

        _addresses = [Second];
        await NextLookupAsync(5);
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current != good));
        Assert.Equal([Second], endpoints.Current!.Addresses);
    }

    /// <summary>They share a resolver with the probes, which may have asked long before.</summary>
    [Fact]
    public async Task Addresses_that_somebody_else_had_looked_up_are_used_for_no_longer_than_others()
    {
        _addresses = [First];
        var resolver = new NameResolver(Lookup, _time);
        Assert.Equal([First], await resolver.ResolveAsync("gateway.test", default));
        _time.Advance(NameResolver.MaxAge - TimeSpan.FromSeconds(2));
        using GatewayEndpoints endpoints = new("gateway.test:9091", resolver, _time);
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current is not null));
        Assert.Equal(1, Volatile.Read(ref _lookups));
        _addresses = [Second];
        await WaitForPauseAsync(TimeSpan.FromSeconds(2));
        await MovesWithinAsync(endpoints, TimeSpan.FromSeconds(2));
        Assert.Equal(2, Volatile.Read(ref _lookups));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3, 3)]
    [InlineData(86_400, 30)]
    [InlineData(null, 10)]
    public async Task The_name_is_looked_up_again_when_its_addresses_are_no_longer_valid(int? timeToLive, int seconds)
    {
        _addresses = [First];
        var resolver = new NameResolver(host => new NameAddresses(Lookup(host), timeToLive is { } ttl ? TimeSpan.FromSeconds(ttl) : null), _time);
        using GatewayEndpoints endpoints = new("gateway.test:9091", resolver, _time);
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current is not null));
        _addresses = [Second];
        await WaitForPauseAsync(TimeSpan.FromSeconds(seconds));
        await NoLookupWithinAsync(TimeSpan.FromSeconds(seconds - 0.1), 1);
        Assert.Equal([First], endpoints.Current!.Addresses);
        await MovesWithinAsync(endpoints, TimeSpan.FromSeconds(0.1));
        Assert.Equal(2, Volatile.Read(ref _lookups));
    }

    /// <summary>Connections do not wait for it, and there would be a whole period to the next.</summary>
    [Fact]
    public async Task What_a_slow_lookup_finds_is_used_as_soon_as_it_is_over()
    {
        using ManualResetEventSlim responds = new();
        var resolver = new NameResolver(
            host =>
            {
                IPAddress[] found = Lookup(host);
                if (found[0].Equals(Second)) responds.Wait();
                return found;
            },
            _time);
        _addresses = [First];
        using GatewayEndpoints endpoints = new("gateway.test:9091", resolver, _time);
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current is not null));
        _addresses = [Second];
        await NextLookupAsync(2);
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal([First], endpoints.Current!.Addresses);
        responds.Set();
        await MovesWithinAsync(endpoints, TimeSpan.Zero);
    }

    private async Task WaitForPauseAsync(TimeSpan pause) =>
        Assert.True(await RunningServer.UntilAsync(() => _time.LastDue == pause), $"a pause of {_time.LastDue} instead of {pause}");

    private async Task MovesWithinAsync(GatewayEndpoints endpoints, TimeSpan time)
    {
        _time.Advance(time);
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current!.Contains(Second)));
    }

    private GatewayEndpoints New() => new("gateway.test:9091", new NameResolver(Lookup, _time), _time);

    private IPAddress[] Lookup(string host)
    {
        Interlocked.Increment(ref _lookups);
        return _addresses ?? throw new SocketException((int)SocketError.HostNotFound);
    }

    private async Task WaitForLookupsAsync(int count) =>
        Assert.True(await RunningServer.UntilAsync(() => Volatile.Read(ref _lookups) >= count), $"{_lookups} lookups instead of {count}");

    /// <summary>The clock goes on, and the timer that waits for it may be created only now.</summary>
    private async Task NoLookupWithinAsync(TimeSpan time, int lookups)
    {
        await Task.Delay(100);
        _time.Advance(time);
        await Task.Delay(100);
        Assert.Equal(lookups, Volatile.Read(ref _lookups));
    }

    /// <summary>In steps: the wait for the next lookup begins some time after the last.</summary>
    private async Task NextLookupAsync(int count)
    {
        for (int i = 0; i < 200 && Volatile.Read(ref _lookups) < count; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(0.2));
            await Task.Delay(20);
        }

        Assert.Equal(count, Volatile.Read(ref _lookups));
        await Task.Delay(100);
    }

    /// <summary>Tells that something waits for it.</summary>
    private sealed class TimerClock : FakeTimeProvider
    {
        private long _lastDue;

        public TimeSpan LastDue => new(Interlocked.Read(ref _lastDue));

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            ITimer timer = base.CreateTimer(callback, state, dueTime, period);
            Interlocked.Exchange(ref _lastDue, dueTime.Ticks);
            return timer;
        }
    }
}
