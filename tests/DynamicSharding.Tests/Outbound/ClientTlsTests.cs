using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Outbound;

/// <summary>An agent with a private authority and a certificate for <c>server.dc1.consul</c>, which requires client certificates.</summary>
public sealed class ClientTlsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly X509Certificate2 _authority;
    private readonly X509Certificate2 _serverCertificate;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private string? _clientSubject;

    public ClientTlsTests()
    {
        using ECDsa key = ECDsa.Create();
        var request = new CertificateRequest("CN=test authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "authorities"));
        File.WriteAllText(CaFile, _authority.ExportCertificatePem());
        _serverCertificate = Issue("server.dc1.consul", "server");
        Issue("edge", "client").Dispose();
        _listener.Start();
    }

    private string CaFile => Path.Combine(_folder.FullName, "authorities", "ca.pem");

    public void Dispose()
    {
        _listener.Dispose();
        _serverCertificate.Dispose();
        _authority.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_private_authority_a_server_name_and_a_client_certificate() => await QueryAsync(new ConsulTlsOptions
    {
        CaFile = CaFile,
        ServerName = "server.dc1.consul",
        CertFile = Pem("client.crt"),
        KeyFile = Pem("client.key"),
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void No_certificate_is_downloaded_from_where_a_server_says(bool hasAuthority)
    {
        var options = new SslClientAuthenticationOptions();
        options.CertificateChainPolicy = PemFiles.ChainPolicy(PemFiles.AuthoritiesIn(hasAuthority ? [(CaFile, File.ReadAllText(CaFile))] : []));
        Assert.True(options.CertificateChainPolicy!.DisableCertificateDownloads);
        Assert.Equal(hasAuthority ? X509ChainTrustMode.CustomRootTrust : X509ChainTrustMode.System, options.CertificateChainPolicy.TrustMode);
    }

    [Fact]
    public async Task A_directory_of_authorities() => await QueryAsync(new ConsulTlsOptions
    {
        CaPath = Path.GetDirectoryName(CaFile),
        ServerName = "server.dc1.consul",
        CertFile = Pem("client.crt"),
        KeyFile = Pem("client.key"),
    });

    [Fact]
    public async Task Another_name_is_refused() =>
        await RejectedAsync(new ConsulTlsOptions { CaFile = CaFile, ServerName = "server.dc2.consul" });

    [Fact]
    public async Task The_host_is_the_name_by_default() =>
        await RejectedAsync(new ConsulTlsOptions { CaFile = CaFile });

    [Fact]
    public async Task An_unknown_authority_is_refused() =>
        await RejectedAsync(new ConsulTlsOptions { ServerName = "server.dc1.consul" });

    [Fact]
    public async Task Skipping_verification_skips_it() => await QueryAsync(new ConsulTlsOptions
    {
        InsecureSkipVerify = true,
        CertFile = Pem("client.crt"),
        KeyFile = Pem("client.key"),
    });

    [Theory]
    [InlineData("ca.pem", "nothing of the kind", "holds no certificate")]
    [InlineData("ca.pem", "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n", "0 of 1 certificates are complete: is the file cut off, or a line break missing?")]
    [InlineData("ca.pem", "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n", "holds a certificate that cannot be read")]
    [InlineData("ca.pem", null, "does not exist")]
    [InlineData("client.crt", "nothing of the kind", "does not work with its key")]
    [InlineData("client.key", null, "does not exist")]
    public void A_file_that_goes_bad_before_it_is_read_is_named(string name, string? content, string why)
    {
        string path = name == "ca.pem" ? CaFile : Pem(name);
        if (content is null) File.Delete(path);
        else File.WriteAllText(path, content);
        var tls = new ConsulTlsOptions { CaFile = CaFile, CertFile = Pem("client.crt"), KeyFile = Pem("client.key") };

        var error = Assert.ThrowsAny<IOException>(() => ConsulConnection.Open(new ConsulOptions { Tls = tls }, static () => null, TimeProvider.System));

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    private async Task RejectedAsync(ConsulTlsOptions tls)
    {
        var rejection = await Assert.ThrowsAsync<HttpRequestException>(() => QueryAsync(tls));
        Assert.IsType<AuthenticationException>(rejection.GetBaseException());
    }

    private async Task QueryAsync(ConsulTlsOptions tls)
    {
        int port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        Task serving = ServeOneAsync();
        using (ConsulClient client = ConsulConnection.Open(
            new ConsulOptions { Addr = $"https://127.0.0.1:{port}", Tls = tls }, static () => null, TimeProvider.System))
        {
            Assert.Empty(await client.Agent.Services(default));
        }

        await serving;
        Assert.Equal("CN=edge", _clientSubject);
    }

    private async Task ServeOneAsync()
    {
        using Socket socket = await _listener.AcceptSocketAsync();
        await using var ssl = new SslStream(new NetworkStream(socket));
        await ssl.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificate = _serverCertificate,
            ClientCertificateRequired = true,
            RemoteCertificateValidationCallback = (_, certificate, _, _) =>
            {
                _clientSubject = certificate?.Subject;
                return certificate is not null;
            },
        });
        _ = await ssl.ReadAsync(new byte[4096]);
        await ssl.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
    }

    private string Pem(string name) => Path.Combine(_folder.FullName, name);

    private X509Certificate2 Issue(string name, string file)
    {
        using ECDsa key = ECDsa.Create();
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.Create(
            _authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Pem(file + ".crt"), certificate.ExportCertificatePem());
        File.WriteAllText(Pem(file + ".key"), key.ExportPkcs8PrivateKeyPem());
        return certificate.CopyWithPrivateKey(key);
    }
}
