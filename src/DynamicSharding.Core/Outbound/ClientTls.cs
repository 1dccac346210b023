using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.Outbound;

/// <summary>
/// How a client connects: names through <see cref="NameResolver"/>, and TLS from PEM files as <see cref="SocketsHttpHandler"/> wants it.
/// </summary>
internal static class ClientTls
{
    /// <param name="handler">Whose connections these are.</param>
    /// <param name="caFile">Trusted instead of the host's authorities.</param>
    /// <param name="caPath">A folder of such files.</param>
    /// <param name="certFile">The client certificate, when the server asks for one.</param>
    /// <param name="keyFile">Its key.</param>
    /// <param name="serverName">The name in the server's certificate where it is not the host that is dialled.</param>
    /// <param name="insecureSkipVerify">Any certificate will do.</param>
    public static void Configure(
        SocketsHttpHandler handler, string? caFile, string? caPath, string? certFile, string? keyFile, string? serverName, bool insecureSkipVerify)
    {
        SslClientAuthenticationOptions ssl = handler.SslOptions;
        Configure(ssl, caFile, caPath, certFile, keyFile, insecureSkipVerify);

        // The handler overwrites TargetHost with the dialled host; only a stream that is encrypted already keeps another name.
        handler.ConnectCallback = serverName is null
            ? static async (context, ct) => new NetworkStream(await DialAsync(context, ct).ConfigureAwait(false), ownsSocket: true)
            : (context, ct) => ConnectAsync(context, ssl, serverName, ct);
    }

    /// <summary>What a connection trusts and shows.</summary>
    public static void Configure(
        SslClientAuthenticationOptions ssl, string? caFile, string? caPath, string? certFile, string? keyFile, bool insecureSkipVerify)
    {
        X509Certificate2Collection authorities = Authorities(caFile, caPath);
        if (authorities.Count > 0)
        {
            ssl.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            ssl.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }

        if (certFile is not null && keyFile is not null)
        {
            ssl.ClientCertificates = [X509Certificate2.CreateFromPemFile(certFile, keyFile)];

            // A server that names its authorities in no way we know must get the certificate all the same.
            ssl.LocalCertificateSelectionCallback = (_, _, certificates, _, _) => certificates[0];
        }

        if (insecureSkipVerify)
        {
#pragma warning disable CA5359 // The operator asked for it by name: insecure_skip_verify.
            ssl.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }
    }

    private static async ValueTask<Stream> ConnectAsync(
        SocketsHttpConnectionContext context, SslClientAuthenticationOptions options, string serverName, CancellationToken ct)
    {
        Socket socket = await DialAsync(context, ct).ConfigureAwait(false);
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

    private static ValueTask<Socket> DialAsync(SocketsHttpConnectionContext context, CancellationToken ct) =>
        NameResolver.Shared.ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, ct);

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
