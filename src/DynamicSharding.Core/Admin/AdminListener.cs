using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Web;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>The port for operators: metrics, health, the API and the status page.</summary>
internal sealed class AdminListener : IAsyncDisposable
{
    private readonly ILogger _logger;
    private readonly WebListener _web;
    private readonly AdminHandler _handler;
    private readonly BasicAuth? _auth;
    private readonly ServerCertificate? _certificate;
    private KestrelServerLimits? _limits;
    private LimitOptions _timeouts = new();

    public AdminListener(AdminContext context)
    {
        _logger = context.LoggerFactory.CreateLogger<AdminListener>();
        ListenAddress address = context.Options().AdminListenAddr ?? throw new ArgumentException("the admin listener is disabled", nameof(context));
        AdminOptions access = context.Options().Admin;
        if (!access.BasicAuthUsers.IsEmpty) _auth = new BasicAuth(access.BasicAuthUsers, "admin passwords");
        _certificate = access is { TlsCertFile: { } certFile, TlsKeyFile: { } keyFile }
            ? new ServerCertificate(
                "admin listener", "admin.tls.cert_file", new DataTlsOptions { CertFile = certFile, KeyFile = keyFile }, _logger, context.Time)
            : null;
        if (_certificate is not null) context = context with { Certificates = [.. context.Certificates, _certificate] };

        // Enough for operators and several Prometheus servers, and reserved for them whatever the data plane uses.
        int maxConnections = DescriptorBudget.Of(OpenFileLimit.Current, new LimitOptions(), forwards: false).Admin;
        var places = new ConnectionPlaces(maxConnections, _logger, context.Time);
        _web = new WebListener("admin listener", "admin_listen_addr", address, Configure, places, _logger, certificate: _certificate);
        Apply(context.Options().Limits);
        _handler = new AdminHandler(context, _auth, places, _logger, _web.Stopping);
    }

    /// <summary>The bound port, which the system chooses if 0 is configured.</summary>
    public int Port => _web.EndPoint.Port;

    /// <exception cref="IOException">The address cannot be bound; the message says which and why.</exception>
    public async Task StartAsync()
    {
        await _web.StartAsync(_handler.HandleAsync);

        // Scrapes keep their connection, so that no handshake may come for months.
        _certificate?.StartRefreshing();
        _logger.AdminStarted(_web.EndPoint);
    }

    /// <summary>The timeouts of the data listeners, for connections accepted from now on.</summary>
    public void Apply(LimitOptions timeouts)
    {
        _timeouts = timeouts;
        if (_limits is not { } limits) return;
        limits.RequestHeadersTimeout = timeouts.HeaderTimeout;
        limits.KeepAliveTimeout = timeouts.IdleTimeout;
    }

    /// <summary>Stops accepting and lets requests in flight finish until the token is canceled.</summary>
    public async Task StopAsync(CancellationToken cancellation = default)
    {
        await _web.StopAsync(cancellation);
        _logger.AdminStopped();
    }

    public async ValueTask DisposeAsync()
    {
        await _web.DisposeAsync();
        _handler.Dispose();
        _auth?.Dispose();
        _certificate?.Dispose();
    }

    private void Configure(KestrelServerOptions kestrel)
    {
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxRequestBodySize = AdminHandler.MaxBodyBytes;

        // A path to look up may be as long as a request line of the data plane, with each byte percent-encoded.
        limits.MaxRequestLineSize = 32 * 1024;

        // A slow reader keeps its response in memory.
        limits.MinResponseDataRate = new MinDataRate(16 * 1024, TimeSpan.FromSeconds(5));
        _limits = limits;
        Apply(_timeouts);
    }
}
