using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>A private authority (ECDSA P-256) with the files of an operator.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _own;

    public TestAuthority(string name = "test authority")
    {
        var request = new CertificateRequest("CN=" + name, _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        _own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-10), DateTimeOffset.UtcNow.AddDays(10));
        CaFile = _folder.Write("ca.pem", _own.ExportCertificatePem());
    }

    public string CaFile { get; }

    public string Path(string name) => System.IO.Path.Combine(_folder.Path, name);

    public string Write(string name, string text) => _folder.Write(name, text);

    /// <summary>Writes <c>name.pem</c> and <c>name.key</c>, for 127.0.0.1.</summary>
    public TestAuthority Issue(string name, int fromDays = -1, int toDays = 5)
    {
        (string certificate, string key) = Make(name, fromDays, toDays);
        _folder.Write(name + ".key", key);
        _folder.Write(name + ".pem", certificate);
        return this;
    }

    /// <summary>The texts of a certificate and its key, without files.</summary>
    public (string Certificate, string Key) Make(string name, int fromDays = -1, int toDays = 5)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_own, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        using X509Certificate2 certificate =
            request.Create(_own, DateTimeOffset.UtcNow.AddDays(fromDays), DateTimeOffset.UtcNow.AddDays(toDays), RandomNumberGenerator.GetBytes(8));
        return (certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    /// <summary>A client that trusts this authority alone.</summary>
    /// <param name="client">The name of its own certificate; null for none.</param>
    /// <param name="from">Who issued that.</param>
    public SslClientAuthenticationOptions Client(string? client = null, TestAuthority? from = null, SslProtocols protocols = SslProtocols.None)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "127.0.0.1",
            EnabledSslProtocols = protocols,
            AllowTlsResume = false,
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
        };
        options.CertificateChainPolicy.CustomTrustStore.Add(_own);
        if (client is not null)
        {
            using X509Certificate2 pem = X509Certificate2.CreateFromPemFile((from ?? this).Path(client + ".pem"), (from ?? this).Path(client + ".key"));

            // Presented whatever the server says it accepts.
            X509Certificate2 own = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
            options.LocalCertificateSelectionCallback = (_, _, _, _, _) => own;
        }

        return options;
    }

    public void Dispose()
    {
        _own.Dispose();
        _key.Dispose();
        _folder.Dispose();
    }
}
