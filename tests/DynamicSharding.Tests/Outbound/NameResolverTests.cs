using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.Outbound;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Outbound;

/// <summary>Lookups that block until the test releases them, as the system's do while a name server is silent.</summary>
public sealed class NameResolverTests : IDisposable
{
    private static readonly IPAddress First = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress Second = IPAddress.Parse("127.0.0.3");

    private readonly ManualResetEventSlim _silence = new();
    private readonly ConcurrentDictionary<string, int> _lookups = new();
    private volatile IPAddress[] _addresses = [First];
    private volatile bool _fails, _hangs;
    private int _running;

    public void Dispose() => _silence.Set();

    [Fact]
    public async Task Many_names_that_hang_do_not_delay_one_that_does_not()
    {
        var time = new FakeTimeProvider();
        NameResolver resolver = Resolver(time);
        Assert.Equal([First], await resolver.ResolveAsync("gw", default));
        Task[] hanging = [.. Enumerable.Range(0, 200).Select(i => resolver.ResolveAsync($"silent-{i}", default).AsTask())];
        for (int i = 1; i <= 5; i++)
        {
            time.Advance(NameResolver.MaxAge);
            Assert.Equal([First], await resolver.ResolveAsync("gw", default));
            Assert.Equal(1 + i, _lookups["gw"]);
        }

        Assert.InRange(Volatile.Read(ref _running), 1, 104);
        time.Advance(TimeSpan.FromSeconds(5));
        await Assert.ThrowsAsync<IOException>(() => hanging[0]);
        await Task.WhenAny(Task.WhenAll(hanging), Task.Delay(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Names_that_hung_before_do_not_delay_a_new_one()
    {
        NameResolver resolver = Resolver(TimeProvider.System);
        _silence.Set();
        for (int i = 0; i < 100; i++) await Assert.ThrowsAsync<SocketException>(() => resolver.ResolveAsync($"failing-{i}", default).AsTask());
        _silence.Reset();

        // After the retry pause they all hang, in the lane of slow names.
        await Task.Delay(TimeSpan.FromSeconds(1.1));
        Task[] hanging = [.. Enumerable.Range(0, 100).Select(i => resolver.ResolveAsync($"failing-{i}", default).AsTask())];
        Assert.Equal([First], await resolver.ResolveAsync("gw", default).AsTask().WaitAsync(TimeSpan.FromSeconds(4)));
        _silence.Set();
        await Task.WhenAny(Task.WhenAll(hanging), Task.Delay(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Simultaneous_requests_share_one_lookup()
    {
        NameResolver resolver = Resolver(TimeProvider.System);
        _hangs = true;
        Task<IPAddress[]>[] asking = [.. Enumerable.Range(0, 100).Select(_ => resolver.ResolveAsync("gw", default).AsTask())];
        _silence.Set();
        foreach (Task<IPAddress[]> task in asking) Assert.Equal([First], await task);
        Assert.Equal(1, _lookups["gw"]);
    }

    [Fact]
    public async Task A_name_that_moved_is_followed()
    {
        var time = new FakeTimeProvider();
        NameResolver resolver = Resolver(time);
        Assert.Equal([First], await resolver.ResolveAsync("gw", default));
        _addresses = [Second, First];
        Assert.Equal([First], await resolver.ResolveAsync("gw", default));
        time.Advance(NameResolver.MaxAge);
        Assert.Equal([Second, First], await resolver.ResolveAsync("gw", default));
        Assert.True(NameResolver.MaxAge + NameResolver.ConnectionLifetime < TimeSpan.FromSeconds(30));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_last_good_addresses_are_kept_while_lookups_fail_or_hang(bool fails)
    {
        NameResolver resolver = Resolver(TimeProvider.System, out Action expire);
        Assert.Equal([First], await resolver.ResolveAsync("gw", default));
        (_fails, _hangs) = (fails, !fails);
        for (int i = 0; i < 3; i++)
        {
            expire();
            Assert.Equal([First], await resolver.ResolveAsync("gw", default));
        }
    }

    [Fact]
    public async Task The_addresses_of_a_name_are_tried_in_order()
    {
        using var listener = new TcpListener(Second, 0);
        listener.Start();
        _addresses = [First, Second];
        NameResolver resolver = Resolver(TimeProvider.System);
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        using Socket socket = await resolver.ConnectAsync("gw", port, default);
        Assert.Equal(new IPEndPoint(Second, port), socket.RemoteEndPoint);
        using Socket literal = await resolver.ConnectAsync("127.0.0.3", port, default);
        Assert.False(_lookups.ContainsKey("127.0.0.3"));
    }

    [Fact]
    public async Task A_name_that_does_not_exist_is_an_error_and_looked_up_again()
    {
        var time = new FakeTimeProvider();
        NameResolver resolver = Resolver(time);
        _fails = true;
        await Assert.ThrowsAsync<SocketException>(() => resolver.ResolveAsync("gw", default).AsTask());
        await Assert.ThrowsAsync<SocketException>(() => resolver.ResolveAsync("gw", default).AsTask());
        Assert.Equal(1, _lookups["gw"]);
        _fails = false;
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([First], await resolver.ResolveAsync("gw", default));
    }

    private NameResolver Resolver(TimeProvider time) => new(Lookup, time);

    /// <summary>Timeouts use the system's clock here; only the age of addresses can be changed.</summary>
    private NameResolver Resolver(TimeProvider time, out Action expire)
    {
        var shifted = new ShiftedTime(time);
        expire = () => shifted.Shift += NameResolver.MaxAge;
        return new NameResolver(Lookup, shifted);
    }

    private IPAddress[] Lookup(string host)
    {
        _lookups.AddOrUpdate(host, 1, static (_, n) => n + 1);
        Interlocked.Increment(ref _running);
        if (_hangs || host.StartsWith("silent", StringComparison.Ordinal) || host.StartsWith("failing", StringComparison.Ordinal)) _silence.Wait();
        Interlocked.Decrement(ref _running);
        if (_fails || host.StartsWith("failing", StringComparison.Ordinal)) throw new SocketException((int)SocketError.HostNotFound);
        return _addresses;
    }

    private sealed class ShiftedTime(TimeProvider inner) : TimeProvider
    {
        public TimeSpan Shift { get; set; }

        public override long GetTimestamp() => inner.GetTimestamp() + (long)(Shift.TotalSeconds * TimestampFrequency);
    }
}
