using System.Net;
using System.Net.Security;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests.Server;

/// <summary>A data listener on a free loopback port with the limits of a test.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    public const string Gateway = "127.0.0.1:9091";

    private readonly DataServer _server;
    private readonly AdjustableClock _time;
    private bool _stopped;

    public RunningServer(LimitOptions? limits = null, int loops = 2, ILoggerFactory? loggers = null, bool hasRing = true, CheckCredentials? authorize = null,
        string pathPrefix = "", ProxyProtocol proxyProtocol = ProxyProtocol.Off, Func<SslServerAuthenticationOptions>? tls = null, bool starts = true, bool clockRuns = true)
    {
        _time = new AdjustableClock(clockRuns);
        ServerOptions options = new()
        {
            HttpListenAddr = new ListenAddress(IPAddress.Loopback, 0),
            Limits = limits ?? new LimitOptions(),
            HttpPathPrefix = pathPrefix,
            ProxyProtocol = proxyProtocol,
            TrustedProxies = ["127.0.0.1"],
        };
        ActiveRing ring = new();
        if (hasRing) ring.Publish(HashRing<Gateway>.Build([new GatewayRegistry(loops, "http", "").For(Gateway)], 100, "group"));
        Readiness readiness = new();
        readiness.SetReady();
        Counters = new DataPlaneCounters(loops);
        _server = new DataServer(
            options, [new DataAddress(DataAddresses.Data, "http_listen_addr", options.HttpListenAddr!, DataServer.NewRedirectSession, tls)], ring, readiness, Counters, authorize, loggers ?? NullLoggerFactory.Instance, _time);
        if (starts) _server.Start();
    }

    /// <summary>Of ten minutes, as the status page shows them.</summary>
    public TopRejects TopRejects => TopRejects.Of(Counters, _time);

    public DataPlaneCounters Counters { get; }

    public DataServer Server => _server;

    public IPEndPoint EndPoint => _server.EndPoint;

    public async Task<TestClient> ConnectAsync(int receiveBuffer = 0)
    {
        TestClient client = new(receiveBuffer);
        await client.Socket.ConnectAsync(EndPoint);
        return client;
    }

    public Task<bool> ClosedAsync(CloseReason reason, long count = 1) => UntilAsync(() => Counters.Closed(reason) >= count);

    public Task<bool> EmptyAsync() => UntilAsync(() => Server.OpenConnections == 0);

    /// <summary>Sets the clock forward in steps of half a second; each step has every loop look at its deadlines.</summary>
    public async Task AdvanceAsync(TimeSpan time)
    {
        for (TimeSpan left = time; left > TimeSpan.Zero; left -= AdjustableClock.Step)
        {
            _time.Advance();
            Assert.Null(await _server.ProbeAsync(CancellationToken.None));
        }
    }

    public static async Task<bool> UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 1500; i++)
        {
            if (condition()) return true;
            await Task.Delay(10);
        }

        return false;
    }

    public async Task StopAsync(TimeSpan timeout)
    {
        _stopped = true;
        await _server.StopAsync(timeout);
    }

    /// <summary>Checks that no connection and no rented buffer is left, and that the counters agree.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_stopped) await StopAsync(TimeSpan.Zero);
        Assert.Equal(0, _server.OpenConnections);
        Assert.Equal(0, _server.KeptBuffers);
        Assert.Equal(0, Counters.Open);
        Assert.Equal(0, Counters.Closed(CloseReason.IoError));
        _server.Dispose();
    }
}

/// <summary>The system's clock, which a test can set forward. Timers stay as they are.</summary>
/// <param name="runs">Else only the test moves it, and no deadline passes while the machine stands still.</param>
internal sealed class AdjustableClock(bool runs = true) : TimeProvider
{
    public static readonly TimeSpan Step = TimeSpan.FromMilliseconds(500);
    private readonly long _start = System.GetTimestamp();
    private long _steps;

    public void Advance() => Interlocked.Increment(ref _steps);

    public override long GetTimestamp() => (runs ? base.GetTimestamp() : _start) + (Interlocked.Read(ref _steps) * TimestampFrequency / 2);
}
