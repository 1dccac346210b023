using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>What stands before many admin pages and gateways: it speaks TLS to clients and plain TCP to the server, and changes no byte in between.</summary>
internal sealed class TlsProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly X509Certificate2 _certificate;
    private readonly IPEndPoint _server;
    private readonly Task _accepting;

    /// <param name="server"><c>host:port</c>.</param>
    /// <param name="pem">Its certificate and key; null for one that nobody trusts.</param>
    public TlsProxy(string server, (string Certificate, string Key)? pem = null)
    {
        _certificate = pem is { } given ? Load(X509Certificate2.CreateFromPem(given.Certificate, given.Key)) : Issue();
        _server = IPEndPoint.Parse(server);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary><c>host:port</c>.</summary>
    public string Address => _listener.LocalEndpoint.ToString()!;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _certificate.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> serving = [];
        try
        {
            while (true) serving.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
        }
        finally
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            {
                await using SslStream outside = new(client.GetStream());
                await outside.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _stop.Token);
                using TcpClient server = new();
                await server.ConnectAsync(_server, _stop.Token);
                await using NetworkStream inside = server.GetStream();
                await Task.WhenAny(outside.CopyToAsync(inside, _stop.Token), inside.CopyToAsync(outside, _stop.Token));
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
        {
            // One of the two went, or the test ended.
        }
    }

    private static X509Certificate2 Issue()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        return Load(request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1)));
    }

    /// <summary>With a key that <see cref="SslStream"/> can use.</summary>
    private static X509Certificate2 Load(X509Certificate2 made)
    {
        using X509Certificate2 certificate = made;
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }
}
