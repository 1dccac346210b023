using System.Net;
using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>Creates Consul clients from the configuration.</summary>
internal static class ConsulConnection
{
    /// <param name="token">Called before each request.</param>
    /// <param name="gate">While it is closed, a request that would need a new connection fails.</param>
    public static ConsulClient Open(ConsulOptions options, Func<string?> token, TimeProvider time, ConnectGate? gate = null)
    {
        ConsulAddress address = ConsulAddress.Parse(options.Addr, options.Tls.Enabled);
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.GZip,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = TimeSpan.FromMinutes(15),
            MaxResponseHeadersLength = 64,

            // One request at a time and one spare: an agent silently drops clients with many connections.
            MaxConnectionsPerServer = 2,
        };
        ConsulTlsOptions tls = options.Tls;
        ClientTls.Configure(handler, tls.CaFile, tls.CaPath, tls.CertFile, tls.KeyFile, tls.ServerName, tls.InsecureSkipVerify);
        if (address.UnixSocket is { } path) handler.ConnectCallback = (_, ct) => ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
        if (gate is not null) handler.ConnectCallback = gate.Guard(handler.ConnectCallback!);

        return new ConsulClient(
            new ConsulClientConfiguration
            {
                Address = address.BaseUri,
                Token = token,
                Authorization = string.IsNullOrEmpty(options.Username) ? null : BasicCredentials.Header(options.Username, options.Password),
                Datacenter = options.Datacenter,
                Namespace = options.Namespace,
                Partition = options.Partition,
            },
            handler,
            time);
    }

    private static async ValueTask<Stream> ConnectAsync(UnixDomainSocketEndPoint endPoint, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(endPoint, ct).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>Decides whether a client may open a new connection for its next request.</summary>
internal sealed class ConnectGate
{
    private volatile bool _isOpen = true;

    public bool IsOpen
    {
        get => _isOpen;
        set => _isOpen = value;
    }

    public Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> Guard(
        Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect) =>
        (context, ct) => IsOpen ? connect(context, ct) : ValueTask.FromException<Stream>(new ConnectionLostException());
}

/// <summary>The connection of the last response is gone, and the request must not go over another one.</summary>
internal sealed class ConnectionLostException() : Exception("the connection is gone");

/// <summary>The current token: a reload may replace it, and its file may change.</summary>
internal sealed class ConsulToken(ConsulOptions options)
{
    private volatile Func<string?> _current = Choose(options);

    public string? Current() => _current();

    public void Apply(ConsulOptions options) => _current = Choose(options);

    private static Func<string?> Choose(ConsulOptions options)
    {
        if (!string.IsNullOrEmpty(options.TokenFile)) return new SecretFile(options.TokenFile, static text => ConfigText.UnsendableToken(text) is null).Current;
        string? token = options.Token;
        return () => token;
    }
}
