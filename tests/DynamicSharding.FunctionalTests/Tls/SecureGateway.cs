using System.Collections.Concurrent;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>A TLS server in place of a Pushgateway: sends a fixed response to every request without content.</summary>
internal sealed class SecureGateway : IAsyncDisposable
{
    private readonly LoopbackServer _server;
    private readonly ConcurrentDictionary<(string Own, string? Client), int> _served = new();
    private volatile X509Certificate2 _certificate;
    private readonly bool _asksForCertificate;
    private readonly string _response;
    private readonly bool _closes;
    private int _connections;
    private int _requests;

    /// <param name="certificate">The name of one that the authority has issued.</param>
    /// <param name="closes">Whether a connection ends with its first response, without a word of TLS.</param>
    public SecureGateway(TestAuthority authority, string certificate, string response, bool closes = false, bool asksForCertificate = false)
    {
        _certificate = Load(authority, certificate);
        _response = response;
        _closes = closes;
        _asksForCertificate = asksForCertificate;
        _server = new LoopbackServer(ServeAsync);
    }

    public string Address => _server.Address;

    /// <summary>With TCP, whatever became of the handshake.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Of the last client's certificate; null without one.</summary>
    public string? Subject { get; private set; }

    /// <summary>The last of these on a connection has a response that says so, and the connection is closed.</summary>
    public int PerConnection { get; init; } = int.MaxValue;

    /// <summary>Before each response: a delay, for example.</summary>
    public Func<string, CancellationToken, Task>? BeforeResponse { get; init; }

    /// <summary>Responses on connections with this pair of certificates, by their subjects.</summary>
    public int Served(string own, string? client) => _served.GetValueOrDefault((own, client));

    /// <summary>From the next handshake on.</summary>
    public void Use(TestAuthority authority, string certificate) => _certificate = Load(authority, certificate);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _certificate.Dispose();
    }

    private static X509Certificate2 Load(TestAuthority authority, string certificate)
    {
        using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(authority.Path(certificate + ".pem"), authority.Path(certificate + ".key"));
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _connections);
        X509Certificate2 certificate = _certificate;
        await using var secure = new SslStream(new NetworkStream(socket), leaveInnerStreamOpen: false);
        try
        {
            await secure.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions
                {
                    ServerCertificate = certificate,
                    ClientCertificateRequired = _asksForCertificate,
                    // Any certificate, or none: the test looks at its subject.
                    RemoteCertificateValidationCallback = static (_, _, _, errors) =>
                        (errors & ~(SslPolicyErrors.RemoteCertificateNotAvailable | SslPolicyErrors.RemoteCertificateChainErrors)) == 0,
                },
                cancellation);
        }
        catch (System.Security.Authentication.AuthenticationException)
        {
            return;
        }

        string? client = secure.RemoteCertificate?.Subject;
        Subject = client;
        int left = PerConnection;
        byte[] buffer = new byte[4096];
        string received = "";
        while (await secure.ReadAsync(buffer, cancellation) is > 0 and int count)
        {
            received += Encoding.Latin1.GetString(buffer, 0, count);
            for (int end; (end = received.IndexOf("\r\n\r\n", StringComparison.Ordinal)) >= 0;)
            {
                string head = received[..end];
                received = received[(end + 4)..];
                Interlocked.Increment(ref _requests);
                if (BeforeResponse is not null) await BeforeResponse(head, cancellation);
                bool isLast = --left == 0;
                string response = isLast ? _response.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal) : _response;
                _served.AddOrUpdate((certificate.Subject, client), 1, static (_, served) => served + 1);
                await secure.WriteAsync(Encoding.Latin1.GetBytes(response), cancellation);
                if (_closes) return;
                if (!isLast) continue;
                await secure.ShutdownAsync();
                return;
            }
        }
    }
}
