using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>Makes the client that the operator's settings describe.</summary>
internal static class ConsulConnection
{
    /// <param name="options">How Consul is reached.</param>
    /// <param name="token">Asked before each request.</param>
    /// <param name="time">The clock of the deadlines.</param>
    /// <param name="gate">Asked before a connection is opened, if there is one; while it is closed, requests only go over the one that is open.</param>
    public static ConsulClient Open(ConsulOptions options, Func<string?> token, TimeProvider time, ConnectGate? gate = null)
    {
        ConsulAddress address = ConsulAddress.Parse(options.Addr, options.Tls.Enabled);
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            AutomaticDecompression = DecompressionMethods.GZip,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = TimeSpan.FromMinutes(15),
            MaxResponseHeadersLength = 64,

            // One request at a time, and one to spare: an agent refuses clients with many connections without a word.
            MaxConnectionsPerServer = 2,
        };
        ConsulTlsOptions tls = options.Tls;
        ClientTls.Configure(handler, tls.CaFile, tls.CaPath, tls.CertFile, tls.KeyFile, tls.ServerName, tls.InsecureSkipVerify);
        if (address.UnixSocket is { } path) handler.ConnectCallback = (_, ct) => ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
        if (gate is not null) Guard(handler, gate);

        return new ConsulClient(
            new ConsulClientConfiguration
            {
                Address = address.BaseUri,
                Token = token,
                Authorization = Basic(options),
                Datacenter = options.Datacenter,
                Namespace = options.Namespace,
                Partition = options.Partition,
            },
            handler,
            time);
    }

    private static string? Basic(ConsulOptions options) => string.IsNullOrEmpty(options.Username)
        ? null
        : "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{options.Username}:{options.Password}"));

    private static void Guard(SocketsHttpHandler handler, ConnectGate gate)
    {
        Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect = handler.ConnectCallback!;
        handler.ConnectCallback = (context, ct) =>
            gate.IsOpen ? connect(context, ct) : ValueTask.FromException<Stream>(new ConnectionLostException());
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

/// <summary>Whether a client may open a connection for the request that it sends now.</summary>
internal sealed class ConnectGate
{
    private volatile bool _isOpen = true;

    public bool IsOpen
    {
        get => _isOpen;
        set => _isOpen = value;
    }
}

/// <summary>The connection of the answers so far is gone, and the request is not one to be sent over another.</summary>
internal sealed class ConnectionLostException : Exception
{
    public ConnectionLostException()
        : base("the connection is gone")
    {
    }
}

/// <summary>The token of the moment: a reload may replace it, and a file may change under it.</summary>
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
