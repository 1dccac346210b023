using System.Net.Sockets;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>Makes the client that the operator's settings describe.</summary>
internal static class ConsulConnection
{
    /// <param name="options">How Consul is reached.</param>
    /// <param name="token">Asked before each request.</param>
    /// <param name="time">The clock of the deadlines.</param>
    public static ConsulClient Open(ConsulOptions options, Func<string?> token, TimeProvider time)
    {
        ConsulAddress address = ConsulAddress.Parse(options.Addr, options.Tls.Enabled);
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            AutomaticDecompression = System.Net.DecompressionMethods.GZip,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = TimeSpan.FromMinutes(15),
            MaxResponseHeadersLength = 64,

            // One long poll, one registration, and one to spare: an agent refuses clients with many connections without a word.
            MaxConnectionsPerServer = 4,
        };
        ConsulTlsOptions tls = options.Tls;
        ClientTls.Configure(handler, tls.CaFile, tls.CaPath, tls.CertFile, tls.KeyFile, tls.ServerName, tls.InsecureSkipVerify);
        if (address.UnixSocket is { } path) handler.ConnectCallback = (_, ct) => ConnectUnixAsync(path, ct);

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

    private static async ValueTask<Stream> ConnectUnixAsync(string path, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
