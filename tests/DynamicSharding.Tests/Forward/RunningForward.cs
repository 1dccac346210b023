using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Outbound;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using DynamicSharding.Tests.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests.Forward;

/// <summary>A forward and a redirect listener on free loopback ports, and the ring of a test.</summary>
internal sealed class RunningForward : IAsyncDisposable
{
    private readonly GatewayRegistry _gateways;
    private readonly ActiveRing _ring = new();
    private readonly AdjustableClock _time;

    /// <param name="maxUpstreams">Connections to gateways that all loops keep open.</param>
    public RunningForward(
        IEnumerable<string> gateways, ForwardOptions? forward = null, LimitOptions? limits = null, int loops = 2, bool clockRuns = true, NameResolver? resolver = null,
        int maxUpstreams = 1000)
    {
        _time = new AdjustableClock(clockRuns);
        var listen = new ListenAddress(IPAddress.Loopback, 0);
        ServerOptions options = new() { ForwardListenAddr = listen, Limits = limits ?? new LimitOptions(), Forward = forward ?? new ForwardOptions() };
        _gateways = new GatewayRegistry(loops, "http", "");
        Publish(gateways);
        Readiness readiness = new();
        readiness.SetReady();
        Counters = new ForwardCounters(loops);
        Closes = new DataPlaneCounters(loops);
        Plane = new ForwardPlane(options, _ring, Counters, maxUpstreams, resolver ?? NameResolver.Shared, NullLoggerFactory.Instance, _time);
        DataAddress[] addresses =
        [
            new(DataAddresses.Forward, "forward_listen_addr", listen, Plane.NewSession),
            new(DataAddresses.Data, "http_listen_addr", listen, DataServer.NewRedirectSession),
        ];
        Server = new DataServer(options, addresses, _ring, readiness, Closes, authorize: null, NullLoggerFactory.Instance, _time);
        Server.Start();
    }

    public ForwardCounters Counters { get; }

    public DataPlaneCounters Closes { get; }

    public ForwardPlane Plane { get; }

    public DataServer Server { get; }

    public int InFlight => Counters.Gateways.Sum(static gateway => gateway.InFlight);

    public void Publish(IEnumerable<string> gateways) => _ring.Publish(HashRing<Gateway>.Build([.. gateways.Select(_gateways.For)], 10, "group"));

    /// <summary>Of a gateway by its name.</summary>
    public GatewayEndpoints EndpointsOf(string gateway) => Plane.TargetOf(_gateways.For(gateway)).Endpoints;

    /// <summary>Of a gateway that will not return.</summary>
    public void Forget(string gateway) => _gateways.Forget(gateway);

    public async Task<TestClient> ConnectAsync(int receiveBuffer = 0)
    {
        TestClient client = new(receiveBuffer);
        await client.Socket.ConnectAsync(Server.EndPoint);
        return client;
    }

    /// <summary>Sets the clock forward in steps of half a second; each step has every loop look at its deadlines.</summary>
    public async Task AdvanceAsync(TimeSpan time)
    {
        for (TimeSpan left = time; left > TimeSpan.Zero; left -= AdjustableClock.Step)
        {
            _time.Advance();
            Assert.Null(await Server.ProbeAsync(CancellationToken.None));
        }
    }

    /// <summary>Nothing may be left of any push: no connection on either side, no place, no kept buffer.</summary>
    public async Task AssertNothingIsLeftAsync()
    {
        Assert.True(await RunningServer.UntilAsync(() => Server.OpenConnections == 0), $"{Server.OpenConnections} clients");
        Assert.True(await RunningServer.UntilAsync(() => InFlight == 0), $"{InFlight} in flight");

        // Idle connections are closed after half a minute.
        await AdvanceAsync(TimeSpan.FromSeconds(40));
        Assert.True(await RunningServer.UntilAsync(() => Plane.OpenUpstreams == 0), $"{Plane.OpenUpstreams} connections to gateways");
        Assert.Equal(0, Server.KeptBuffers);
        Assert.Equal(0, Closes.Closed(CloseReason.IoError));
    }

    public async ValueTask DisposeAsync()
    {
        await Server.StopAsync(TimeSpan.Zero);
        Server.Dispose();
        Plane.Dispose();
    }
}
