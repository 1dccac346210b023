using System.Net;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Outbound;
using DynamicSharding.Routing;
using DynamicSharding.Web;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Forwarder;

namespace DynamicSharding.Forward;

/// <summary>
/// The second data listener, for clients that cannot follow a redirect: Kestrel and YARP on pool threads, with the same ring.
/// Created only if configured; otherwise YARP is not loaded.
/// </summary>
internal sealed class ForwardListener : IAsyncDisposable
{
    /// <summary>As on the redirect listener, the first seconds do not count.</summary>
    private static readonly TimeSpan BodyRateGrace = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Unlimited = TimeSpan.FromDays(365);

    private readonly ILogger _logger;
    private readonly ActiveRing _ring;
    private readonly Readiness _readiness;
    private readonly ShardingKey _key;
    private readonly WebListener _web;
    private readonly GatewayClients _clients;
    private readonly AwakeClock _clock;
    private readonly ForwardHandler _handler;
    private volatile int _maxConnections;
    private volatile LimitOptions _limits;
    private KestrelServerLimits? _kestrel;

    /// <param name="options">Must have a forward address.</param>
    /// <param name="ring">The redirect listener's.</param>
    /// <param name="readiness">The redirect listener's.</param>
    /// <param name="counters">Shown on <c>/metrics</c>.</param>
    /// <param name="maxConnections">A connection above it is closed at once.</param>
    /// <param name="loggers">Where it logs.</param>
    /// <param name="time">The one clock.</param>
    public ForwardListener(
        ServerOptions options, ActiveRing ring, Readiness readiness, ForwardCounters counters, int maxConnections, ILoggerFactory loggers, TimeProvider time)
    {
        _logger = loggers.CreateLogger<ForwardListener>();
        ListenAddress address = options.ForwardListenAddr ?? throw new ArgumentException("The forward listener is off.", nameof(options));
        _ring = ring;
        _readiness = readiness;
        _key = options.Sharding.Key;
        _maxConnections = maxConnections;
        _limits = options.Limits;
        _clock = new AwakeClock(time);

        _web = new WebListener("forward listener", "forward_listen_addr", address, Configure, () => _maxConnections, _logger, Bind, register: static services =>
        {
            services.AddHttpForwarder();

            // The caller bounds the stop.
            services.Configure<HostOptions>(host => host.ShutdownTimeout = Timeout.InfiniteTimeSpan);
        });

        _clients = new GatewayClients(options.Pushgateway, counters);
        var forwarder = new Forwarder(_web.Services.GetRequiredService<IHttpForwarder>(), _clients, GatewayCredentials.From(options.Pushgateway), _clock, () => _maxConnections);
        _handler = new ForwardHandler(NewRouter(), forwarder, counters, options.Forward, _logger);
    }

    /// <summary>The bound address, with the port that the system chose if 0 was asked for.</summary>
    public IPEndPoint EndPoint => _web.EndPoint;

    /// <exception cref="IOException">Cannot listen; the message says where and why.</exception>
    public async Task StartAsync()
    {
        await _web.StartAsync(_handler.HandleAsync);
        _logger.ForwardStarted(EndPoint, _maxConnections);
    }

    /// <summary>Applies a reload: pending requests keep their limits, new connections get the new ones.</summary>
    /// <param name="options">The new options.</param>
    /// <param name="maxConnections">Open connections above it stay.</param>
    public void Apply(ServerOptions options, int maxConnections)
    {
        _limits = options.Limits;
        _maxConnections = maxConnections;
        if (_kestrel is not null) Apply(_kestrel);
        _handler.Apply(NewRouter(), options.Forward);
    }

    /// <summary>First step of a stop: requests are still served, and every response closes its connection.</summary>
    public void Drain() => _handler.Drain();

    /// <summary>The rest of a stop: no new connections, close idle ones, wait for requests in flight, reset the rest after the timeout.</summary>
    public async Task StopAsync(TimeSpan timeout)
    {
        using var deadline = new CancellationTokenSource(timeout);
        await _web.StopAsync(deadline.Token);
        _logger.ForwardStopped();
    }

    public async ValueTask DisposeAsync()
    {
        await _web.DisposeAsync();
        _clients.Dispose();
        _clock.Dispose();
    }

    private ForwardRouter NewRouter() => new(_ring, _readiness, _key, _limits);

    private void Configure(KestrelServerOptions kestrel)
    {
        // Field values are bytes, from clients and to gateways.
        kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
        kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;
        kestrel.Limits.MaxRequestBodySize = null;
        Apply(kestrel.Limits);
        _kestrel = kestrel.Limits;
    }

    private void Apply(KestrelServerLimits kestrel)
    {
        // The guard enforces the limits on heads; Kestrel counts slightly differently.
        const int Slack = 1024;
        kestrel.MaxRequestLineSize = RejectedTarget.MaxLine(_limits.RequestLine) + Slack;
        kestrel.MaxRequestHeadersTotalSize = _limits.HeaderBytes + Slack;
        kestrel.MaxRequestHeaderCount = _limits.HeaderFields + 1;

        // Content waits in the client until the gateway takes it; Kestrel wants room for a whole head.
        kestrel.MaxRequestBufferSize = Math.Max(64 * 1024, Math.Max(RejectedTarget.MaxLine(_limits.RequestLine), _limits.HeaderBytes) + Slack);

        // The guard enforces the head and idle timeouts; Kestrel's would keep running while the process is suspended. An infinite timeout
        // overflows in Kestrel and expires at once.
        kestrel.RequestHeadersTimeout = Unlimited;
        kestrel.KeepAliveTimeout = Unlimited;
        kestrel.MinRequestBodyDataRate = _limits.BodyMinRate > 0 ? new MinDataRate(_limits.BodyMinRate, BodyRateGrace) : null;
    }

    private void Bind(ListenOptions listen)
    {
        var guard = new HeadGuard(() => _limits, _clock);
        listen.Use(next => connection => guard.RunAsync(connection, next));
    }
}
