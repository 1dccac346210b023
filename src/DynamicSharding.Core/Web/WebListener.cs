using System.Net;
using System.Net.Sockets;
using DynamicSharding.Config;
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
/// One address served by Kestrel on pool threads, apart from the data plane's loops: HTTP/1.1, since HTTP/2 without TLS needs prior knowledge
/// that nothing which talks to these ports has. An empty builder: no configuration files, no environment variables, no console, no signal
/// handlers; the process is not this listener's.
/// </summary>
internal sealed class WebListener : IAsyncDisposable
{
    private readonly string _name;
    private readonly string _key;
    private readonly ListenAddress _address;
    private readonly Action<ListenOptions> _bind;
    private readonly BoundedListenerFactory _listener;
    private readonly WebApplication _app;
    private ListenOptions? _bound;

    /// <param name="name">As errors call it.</param>
    /// <param name="key">The configuration key of the address.</param>
    /// <param name="address">Where to listen.</param>
    /// <param name="configure">Sets the limits.</param>
    /// <param name="bind">Sets what connections pass through.</param>
    /// <param name="maxConnections">Beyond it a connection is closed at once.</param>
    /// <param name="logger">Of the listener.</param>
    /// <param name="register">Adds what else the handler needs.</param>
    public WebListener(
        string name,
        string key,
        ListenAddress address,
        Action<KestrelServerOptions> configure,
        Action<ListenOptions> bind,
        Func<int> maxConnections,
        ILogger logger,
        Action<IServiceCollection>? register = null)
    {
        _name = name;
        _key = key;
        _address = address;
        _bind = bind;
        _listener = new BoundedListenerFactory(maxConnections, logger);
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            configure(kestrel);
            if (address.Host is { } host) kestrel.Listen(new IPEndPoint(host, address.Port), Bind);
            else kestrel.ListenAnyIP(address.Port, Bind);
        });
        builder.Services.AddSingleton<IConnectionListenerFactory>(_listener);
        builder.Services.AddSingleton<IHostLifetime, DetachedLifetime>();
        register?.Invoke(builder.Services);
        _app = builder.Build();
    }

    /// <summary>Of the handler's parts.</summary>
    public IServiceProvider Services => _app.Services;

    /// <summary>Cancelled when a stop begins.</summary>
    public CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>The bound address, with the port that the system chose if 0 was asked for.</summary>
    public IPEndPoint EndPoint => _bound?.IPEndPoint ?? throw new InvalidOperationException($"The {_name} is not started.");

    /// <exception cref="IOException">It could not listen; the message says where and why.</exception>
    public async Task StartAsync(RequestDelegate handler)
    {
        _app.Run(handler);
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
    }

    /// <summary>Stops accepting and lets requests in flight finish until the token says that it is enough.</summary>
    public Task StopAsync(CancellationToken cancellation) => _app.StopAsync(cancellation);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private void Bind(ListenOptions listen)
    {
        listen.Protocols = HttpProtocols.Http1;
        _bound = listen;
        listen.Use(next => connection => _listener.CountAsync(connection, next));
        _bind(listen);
    }
}

/// <summary>In place of the host's console lifetime, which would take the process's signals: the server says when to stop.</summary>
internal sealed class DetachedLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
