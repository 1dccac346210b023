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

    private readonly FakeTimeProvider _time = new();
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

        // A name whose lookup has failed is one that the resolver does not wait for: the addresses of this lookup come with the next.
        _addresses = [Second];
        await NextLookupAsync(5);
        await NextLookupAsync(6);
        Assert.True(await RunningServer.UntilAsync(() => endpoints.Current != good));
        Assert.Equal([Second], endpoints.Current!.Addresses);
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
}
