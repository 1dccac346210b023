using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Forward;

/// <summary>The connections to the gateways: those that are kept, and those that are made for one request.</summary>
internal sealed class GatewayClients : IDisposable
{
    /// <summary>Two lost SYNs (after one and three seconds) still connect.</summary>
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    private int _open;

    public GatewayClients(PushgatewayOptions options, ForwardCounters counters)
    {
        Pooled = Create(options, counters, NameResolver.ConnectionLifetime);
        Fresh = Create(options, counters, TimeSpan.Zero);
    }

    /// <summary>For what can be sent again: its connection may be one that the gateway is closing at this moment.</summary>
    public HttpMessageInvoker Pooled { get; }

    /// <summary>For what is sent again, and for what cannot be.</summary>
    public HttpMessageInvoker Fresh { get; }

    /// <summary>Connections to gateways that are open, in use or kept.</summary>
    public int Open => Volatile.Read(ref _open);

    public void Dispose()
    {
        Pooled.Dispose();
        Fresh.Dispose();
    }

    private HttpMessageInvoker Create(PushgatewayOptions options, ForwardCounters counters, TimeSpan lifetime)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = ConnectTimeout,
            PooledConnectionLifetime = lifetime,
            MaxResponseHeadersLength = 32,
            RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
            ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
            PlaintextStreamFilter = (context, _) =>
            {
                Interlocked.Increment(ref _open);
                return new ValueTask<Stream>(new GatewayStream(context.PlaintextStream, counters, () => Interlocked.Decrement(ref _open)));
            },
        };
        GatewayTlsOptions tls = options.Tls;
        ClientTls.Configure(handler, tls.CaFile, null, tls.CertFile, tls.KeyFile, tls.ServerName, insecureSkipVerify: false);
        return new HttpMessageInvoker(handler);
    }
}
