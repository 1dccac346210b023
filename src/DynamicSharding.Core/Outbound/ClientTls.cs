using System.Net.Security;
using System.Net.Sockets;
using DynamicSharding.Config;

namespace DynamicSharding.Outbound;

/// <summary>How this program's HTTP clients connect: no proxy, cookies or redirects, names from a <see cref="NameResolver"/>, TLS from PEM files.</summary>
internal static class ClientTls
{
    /// <summary>With files that are read now, and not again.</summary>
    /// <param name="caFile">Trusted instead of the host's authorities.</param>
    /// <param name="caPath">A directory of such files.</param>
    /// <param name="serverName">The name in the server's certificate, if it is not the host.</param>
    /// <exception cref="IOException">A file cannot be read or used; the message names it.</exception>
    public static void Configure(
        SocketsHttpHandler handler, string? caFile, string? caPath, string? certFile, string? keyFile, string? serverName, bool insecureSkipVerify)
    {
        NameResolver resolver = NameResolver.Shared;
        Configure(handler);
        SslClientAuthenticationOptions ssl = handler.SslOptions;
        List<string> authorities = caFile is null ? [] : [caFile];
        if (caPath is not null) authorities.AddRange(Directory.EnumerateFiles(caPath).Order(StringComparer.Ordinal));
        ssl.CertificateChainPolicy = PemFiles.ChainPolicy(PemFiles.AuthoritiesIn([.. authorities.Select(static file => (file, ConfigFiles.ReadText(file)))]));
        if (certFile is not null && keyFile is not null) ssl.ClientCertificateContext = PemFiles.Identity(certFile, ConfigFiles.ReadText(certFile), keyFile, ConfigFiles.ReadText(keyFile));
        if (insecureSkipVerify)
        {
#pragma warning disable CA5359 // Only with insecure_skip_verify.
            ssl.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }

        // The handler sets TargetHost to the host, so another name needs a stream that is already encrypted.
        handler.ConnectCallback = serverName is null
            ? async (context, ct) => new NetworkStream(await DialAsync(resolver, context, ct).ConfigureAwait(false), ownsSocket: true)
            : (context, ct) => ConnectAsync(resolver, context, () => For(ssl, serverName), ct);
    }

    /// <summary>For gateways.</summary>
    /// <param name="tls">Null for plain HTTP.</param>
    public static void Configure(SocketsHttpHandler handler, GatewayTls? tls, NameResolver resolver)
    {
        Configure(handler);

        // Every connection with the files as they are then, which the handler's own options cannot do.
        handler.ConnectCallback = (context, ct) => ConnectAsync(
            resolver, context, () => tls?.OptionsFor(context.DnsEndPoint.Host) ?? For(new SslClientAuthenticationOptions(), context.DnsEndPoint.Host), ct);
    }

    /// <summary>The options of one connection, from those of all.</summary>
    /// <param name="host">The name in the server's certificate.</param>
    public static SslClientAuthenticationOptions For(SslClientAuthenticationOptions all, string host) => new()
    {
        TargetHost = host,
        CertificateChainPolicy = all.CertificateChainPolicy,
        ClientCertificateContext = all.ClientCertificateContext,
        RemoteCertificateValidationCallback = all.RemoteCertificateValidationCallback,
    };

    private static void Configure(SocketsHttpHandler handler)
    {
        handler.UseProxy = false;
        handler.UseCookies = false;
        handler.AllowAutoRedirect = false;
        handler.ActivityHeadersPropagator = null;
    }

    private static async ValueTask<Stream> ConnectAsync(
        NameResolver resolver, SocketsHttpConnectionContext context, Func<SslClientAuthenticationOptions> options, CancellationToken ct)
    {
        Socket socket = await DialAsync(resolver, context, ct).ConfigureAwait(false);
        Stream? stream = null;
        try
        {
            stream = new NetworkStream(socket, ownsSocket: true);
            if (context.InitialRequestMessage.RequestUri?.Scheme != Uri.UriSchemeHttps) return stream;

            var ssl = new SslStream(stream);
            stream = ssl;
            await ssl.AuthenticateAsClientAsync(options(), ct).ConfigureAwait(false);
            return ssl;
        }
        catch
        {
            if (stream is not null) await stream.DisposeAsync().ConfigureAwait(false);
            socket.Dispose();
            throw;
        }
    }

    private static ValueTask<Socket> DialAsync(NameResolver resolver, SocketsHttpConnectionContext context, CancellationToken ct) =>
        resolver.ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, ct);
}
