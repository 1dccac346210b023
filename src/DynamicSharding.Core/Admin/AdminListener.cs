using DynamicSharding.Admin.Page;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Web;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>The operators' port: metrics, health, the API and the page.</summary>
internal sealed class AdminListener : IAsyncDisposable
{
    private readonly ILogger _logger;
    private readonly WebListener _web;
    private readonly AdminHandler _handler;
    private readonly TrafficRates _rates;
    private readonly LastHourCounts _lastHour;
    private readonly BasicAuth? _auth;
    private readonly ServerCertificate? _certificate;

    public AdminListener(AdminContext context)
    {
        _logger = context.LoggerFactory.CreateLogger<AdminListener>();
        ListenAddress address = context.Options().AdminListenAddr ?? throw new ArgumentException("The admin listener is off.", nameof(context));
        AdminOptions access = context.Options().Admin;
        if (!access.BasicAuthUsers.IsEmpty) _auth = new BasicAuth(access.BasicAuthUsers);
        if (access is { TlsCertFile: { } certFile, TlsKeyFile: { } keyFile })
            _certificate = new ServerCertificate(certFile, keyFile, _logger, context.Time);
        // Enough for operators and several Prometheus servers, and kept for them whatever the clients of the data plane take.
        int maxConnections = DescriptorBudget.Of(OpenFileLimit.Current, new LimitOptions(), forwards: false).Admin;
        _web = new WebListener("admin listener", "admin_listen_addr", address, Configure, Bind, () => maxConnections, _logger);

        var fleet = new Fleet(context.Ring, context.Membership, context.Time);
        _rates = new TrafficRates(fleet, context.Counters, context.Time);
        _lastHour = new LastHourCounts(context.Counters, context.Membership, context.Time);
        var refusals = new AdminRejectCounter();
        var metrics = new MetricsPage(context, fleet, refusals);
        var whatIf = new RingSimulator(context);
        var page = new StatusPage(context, fleet, _rates, _lastHour, whatIf);
        _handler = new AdminHandler(context, fleet, metrics, page, _rates, _lastHour, whatIf, _auth, refusals, _logger, _web.Stopping);
    }

    /// <summary>The bound port: the configured one, or what the system chose for 0.</summary>
    public int Port => _web.EndPoint.Port;

    /// <exception cref="IOException">It could not listen; the message says where and why.</exception>
    public async Task StartAsync()
    {
        await _web.StartAsync(_handler.HandleAsync);
        _logger.AdminStarted(_web.EndPoint);
    }

    /// <summary>Stops accepting and lets requests in flight finish until the token says that it is enough.</summary>
    public async Task StopAsync(CancellationToken cancellation = default)
    {
        await _web.StopAsync(cancellation);
        _logger.AdminStopped();
    }

    public async ValueTask DisposeAsync()
    {
        await _web.DisposeAsync();
        _handler.Dispose();
        _rates.Dispose();
        _lastHour.Dispose();
        _auth?.Dispose();
    }

    private static void Configure(KestrelServerOptions kestrel)
    {
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxRequestBodySize = AdminHandler.MaxBodyBytes;

        // A looked-up path may be as long as a request line of the data plane, each byte percent-encoded.
        limits.MaxRequestLineSize = 32 * 1024;

        // A client that takes its time with a page keeps it in memory.
        limits.MinResponseDataRate = new MinDataRate(16 * 1024, TimeSpan.FromSeconds(5));

        // As on the data listener. Kestrel's keep-alive of 130 s stays: it outlives the usual scrape interval.
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
    }

    private void Bind(ListenOptions listen)
    {
        if (_certificate is not { } certificate) return;
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = TimeSpan.FromSeconds(10),
            OnConnection = _ => ValueTask.FromResult(certificate.Current()),
        });
    }
}
