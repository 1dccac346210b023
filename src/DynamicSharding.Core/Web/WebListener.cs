using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// One address served by Kestrel on pool threads, apart from the data plane's loops. HTTP/1.1 only: HTTP/2 without TLS needs prior knowledge,
/// which no client of these ports has. The builder is empty (no configuration files, environment variables, console or signal handlers),
/// because the process does not belong to this listener.
/// </summary>
internal sealed class WebListener : IAsyncDisposable
{
    private static readonly TimeSpan WarmUpTimeout = TimeSpan.FromSeconds(2);

    private readonly string _name;
    private readonly string _key;
    private readonly ListenAddress _address;
    private readonly ServerCertificate? _certificate;
    private readonly ILogger _logger;
    private readonly WebApplication _app;
    private ListenOptions? _bound;

    /// <param name="name">The listener's name in errors.</param>
    /// <param name="key">The configuration key of the address.</param>
    /// <param name="address">Where to listen.</param>
    /// <param name="configure">Sets the limits.</param>
    /// <param name="places">Of its connections.</param>
    /// <param name="logger">The listener's logger.</param>
    /// <param name="bind">Adds connection middleware.</param>
    /// <param name="certificate">Turns TLS on.</param>
    /// <param name="register">Adds the handler's services.</param>
    public WebListener(
        string name,
        string key,
        ListenAddress address,
        Action<KestrelServerOptions> configure,
        ConnectionPlaces places,
        ILogger logger,
        Action<ListenOptions>? bind = null,
        ServerCertificate? certificate = null,
        Action<IServiceCollection>? register = null)
    {
        _name = name;
        _key = key;
        _address = address;
        _certificate = certificate;
        _logger = logger;
        var listener = new BoundedListenerFactory(places, logger);
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            configure(kestrel);
            if (address.Host is { } host) kestrel.Listen(new IPEndPoint(host, address.Port), Bind);
            else kestrel.ListenAnyIP(address.Port, Bind);
        });
        builder.Services.AddSingleton<IConnectionListenerFactory>(listener);
        builder.Services.AddSingleton<IHostLifetime, DetachedLifetime>();
        register?.Invoke(builder.Services);
        _app = builder.Build();

        void Bind(ListenOptions listen)
        {
            _bound = listen;
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(static next => connection => BoundedListenerFactory.HoldPlaceAsync(connection, next));
            if (certificate is not null) listen.UseHttps(certificate.Handshake);
            bind?.Invoke(listen);
        }
    }

    public IServiceProvider Services => _app.Services;

    /// <summary>Canceled when a stop begins.</summary>
    public CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>The bound address, with the port that the system chose for port 0.</summary>
    public IPEndPoint EndPoint => _bound?.IPEndPoint ?? throw new InvalidOperationException($"The {_name} is not started.");

    /// <exception cref="IOException">It cannot listen; the message says where and why.</exception>
    public async Task StartAsync(RequestDelegate handler)
    {
        _app.Run(http => ServeAsync(http, handler));
        try
        {
            await _app.StartAsync();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            bool taken = e.InnerException is AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse };
            string why = taken ? "the address is already in use" : e.Message;
            throw new IOException($"{_name}: cannot listen on {_address} ({_key}): {why}", e);
        }

        await WarmUpAsync();
    }

    /// <summary>Stops accepting and lets requests in flight finish until the token is canceled.</summary>
    public Task StopAsync(CancellationToken cancellation) => _app.StopAsync(cancellation);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>The address at which this machine reaches a listener.</summary>
    public static IPEndPoint LocalAddress(IPEndPoint listener) => new(
        listener.Address.Equals(IPAddress.Any) ? IPAddress.Loopback
            : listener.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : listener.Address,
        listener.Port);

    private static async Task ServeAsync(HttpContext http, RequestDelegate handler)
    {
        ConnectionPlaces.Place? place = http.Features.Get<ConnectionPlaces.Place>();
        place?.BeginRequest();
        try
        {
            await handler(http);
        }
        finally
        {
            place?.EndRequest();
        }
    }

    /// <summary>
    /// Sends one request to itself. A build that needs the .NET runtime opens assemblies when their code first runs: if clients held all
    /// descriptors before the first request, no request would ever succeed.
    /// </summary>
    private async Task WarmUpAsync()
    {
        try
        {
            using var handler = new SocketsHttpHandler
            {
                UseProxy = false,
                SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate is not null },
            };
            using var client = new HttpClient(handler) { Timeout = WarmUpTimeout };
            string scheme = _certificate is null ? "http" : "https";
            using HttpResponseMessage response = await client.GetAsync(new Uri($"{scheme}://{LocalAddress(EndPoint)}/-/healthy"));
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or UriFormatException)
        {
            _logger.WarmUpFailed(EndPoint, e.Message);
        }
    }
}

/// <summary>Replaces the host's console lifetime, which would take over the process's signals.</summary>
internal sealed class DetachedLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
