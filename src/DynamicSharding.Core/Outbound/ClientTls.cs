using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.Outbound;

/// <summary>What all clients have in common: no proxy, no redirects, names through <see cref="NameResolver"/>, TLS from PEM files.</summary>
internal static class ClientTls
{
    /// <param name="caFile">Trusted instead of the host's authorities.</param>
    /// <param name="caPath">A directory of such files.</param>
    /// <param name="serverName">The name in the server's certificate, if it is not the host.</param>
    /// <param name="resolver">Of host names; null for the system's.</param>
    public static void Configure(
        SocketsHttpHandler handler, string? caFile, string? caPath, string? certFile, string? keyFile, string? serverName, bool insecureSkipVerify, NameResolver? resolver = null)
    {
        resolver ??= NameResolver.Shared;
        handler.UseProxy = false;
        handler.UseCookies = false;
        handler.AllowAutoRedirect = false;
        handler.ActivityHeadersPropagator = null;
        SslClientAuthenticationOptions ssl = handler.SslOptions;
        Configure(ssl, caFile, caPath, certFile, keyFile, insecureSkipVerify);

        // The handler sets TargetHost to the host, so another name needs a stream that is already encrypted.
        handler.ConnectCallback = serverName is null
            ? async (context, ct) => new NetworkStream(await DialAsync(resolver, context, ct).ConfigureAwait(false), ownsSocket: true)
            : (context, ct) => ConnectAsync(resolver, context, ssl, serverName, ct);
    }

    /// <summary>Which servers to trust, and which certificate to present.</summary>
    public static void Configure(
        SslClientAuthenticationOptions ssl, string? caFile, string? caPath, string? certFile, string? keyFile, bool insecureSkipVerify)
    {
        X509Certificate2Collection authorities = Authorities(caFile, caPath);
        ssl.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = authorities.Count > 0 ? X509ChainTrustMode.CustomRootTrust : X509ChainTrustMode.System,
            RevocationMode = X509RevocationMode.NoCheck,

            // The URL for a missing intermediate is the server's to choose, and an event loop would wait for the download.
            DisableCertificateDownloads = true,
        };
        ssl.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);

        if (certFile is not null && keyFile is not null)
        {
            ssl.ClientCertificates = [X509Certificate2.CreateFromPemFile(certFile, keyFile)];

            // Send it even if the server's list of acceptable authorities does not match.
            ssl.LocalCertificateSelectionCallback = (_, _, certificates, _, _) => certificates[0];
        }

        if (insecureSkipVerify)
        {
#pragma warning disable CA5359 // Only with insecure_skip_verify.
            ssl.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }
    }

    private static async ValueTask<Stream> ConnectAsync(
        NameResolver resolver, SocketsHttpConnectionContext context, SslClientAuthenticationOptions options, string serverName, CancellationToken ct)
    {
        Socket socket = await DialAsync(resolver, context, ct).ConfigureAwait(false);
        Stream? stream = null;
        try
        {
            stream = new NetworkStream(socket, ownsSocket: true);
            if (context.InitialRequestMessage.RequestUri?.Scheme != Uri.UriSchemeHttps) return stream;

            var ssl = new SslStream(stream);
            stream = ssl;
            await ssl.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = serverName,
                    CertificateChainPolicy = options.CertificateChainPolicy,
                    ClientCertificates = options.ClientCertificates,
                    LocalCertificateSelectionCallback = options.LocalCertificateSelectionCallback,
                    RemoteCertificateValidationCallback = options.RemoteCertificateValidationCallback,
                },
                ct).ConfigureAwait(false);
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

    private static X509Certificate2Collection Authorities(string? caFile, string? caPath)
    {
        var authorities = new X509Certificate2Collection();
        if (caFile is not null) authorities.ImportFromPemFile(caFile);
        if (caPath is not null)
        {
            foreach (string file in Directory.EnumerateFiles(caPath).Order(StringComparer.Ordinal)) authorities.ImportFromPemFile(file);
        }

        return authorities;
    }
}
