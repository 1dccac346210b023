using System.Net;
using System.Net.Sockets;
using DynamicSharding.Admin.Access;
using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>
/// The operators' port: Kestrel on pool threads, apart from the data plane's loops. An empty builder: no configuration files, no
/// environment variables, no console, no signal handlers; the process is not this listener's.
/// </summary>
internal sealed class AdminListener : IAsyncDisposable
{
    private readonly ILogger _logger;
    private readonly ListenAddress _address;
    private readonly MetricsPage _metrics;
    private readonly WebApplication _app;
    private readonly TrafficRates _rates;
    private readonly BasicAuth? _auth;
    private readonly ServerCertificate? _certificate;
    private ListenOptions? _bound;

    public AdminListener(AdminContext context)
    {
        _logger = context.LoggerFactory.CreateLogger<AdminListener>();
        _address = context.Options().AdminListenAddr ?? throw new ArgumentException("The admin listener is off.", nameof(context));
        AdminOptions access = context.Options().Admin;
        if (!access.BasicAuthUsers.IsEmpty) _auth = new BasicAuth(access.BasicAuthUsers);
        if (access is { TlsCertFile: { } certFile, TlsKeyFile: { } keyFile })
            _certificate = new ServerCertificate(certFile, keyFile, _logger, context.Time);
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(Configure);
        builder.Services.AddSingleton<IHostLifetime, DetachedLifetime>();
        _app = builder.Build();

        var fleet = new Fleet(context.Ring, context.Membership);
        _rates = new TrafficRates(fleet, context.Counters, context.Time);
        var refusals = new RefusalCounter();
        _metrics = new MetricsPage(context, fleet, refusals);
        var handler = new AdminHandler(context, fleet, _metrics, _rates, _auth, refusals, _logger, _app.Lifetime.ApplicationStopping);
        _app.Run(handler.HandleAsync);
    }

    /// <summary>The bound port: the configured one, or what the system chose for 0.</summary>
    public int Port => _bound?.IPEndPoint?.Port ?? throw new InvalidOperationException("The admin listener is not started.");

    /// <exception cref="IOException">It could not listen; the message says where and why.</exception>
    public async Task StartAsync()
    {
        try
        {
            await _app.StartAsync();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            bool taken = e.InnerException is AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse };
            string why = taken ? "the address is already in use" : e.Message;
            throw new IOException($"admin listener: cannot listen on {_address} (admin_listen_addr): {why}", e);
        }

        _logger.AdminStarted(_bound!.IPEndPoint!);
    }

    /// <summary>Stops accepting and lets requests in flight finish until the token says that it is enough.</summary>
    public async Task StopAsync(CancellationToken cancellation = default)
    {
        await _app.StopAsync(cancellation);
        _logger.AdminStopped();
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _metrics.Dispose();
        _rates.Dispose();
        _auth?.Dispose();
    }

    private void Configure(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxRequestBodySize = AdminHandler.MaxBodyBytes;

        // A looked-up path may be as long as a request line of the data plane, each byte percent-encoded.
        limits.MaxRequestLineSize = 32 * 1024;

        // Enough for operators and several Prometheus servers; a leak of clients here must not eat the data plane's descriptors.
        limits.MaxConcurrentConnections = 256;

        // As on the data listener. Kestrel's keep-alive of 130 s stays: it outlives the usual scrape interval.
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        if (_address.Host is { } host) kestrel.Listen(new IPEndPoint(host, _address.Port), Bind);
        else kestrel.ListenAnyIP(_address.Port, Bind);
    }

    private void Bind(ListenOptions listen)
    {
        // HTTP/2 without TLS needs prior knowledge that nothing which talks to this port has.
        listen.Protocols = HttpProtocols.Http1;
        _bound = listen;
        if (_certificate is not { } certificate) return;
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = TimeSpan.FromSeconds(10),
            OnConnection = _ => ValueTask.FromResult(certificate.Current()),
        });
    }
}
