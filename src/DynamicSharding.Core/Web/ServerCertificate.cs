using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// The certificate that the admin listener shows. A handshake looks whether the files have changed, at most once a second; their content
/// is compared, because a renewal that moves a symbolic link changes no time stamp. A pair that does not fit is not taken: while
/// one of two files is new, the old certificate goes on.
/// </summary>
internal sealed class ServerCertificate
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly string _certFile;
    private readonly string _keyFile;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private long _looked;
    private string _read;
    private SslServerAuthenticationOptions _options;

    /// <exception cref="IOException">The files cannot be read or do not fit; the message says which key names them.</exception>
    public ServerCertificate(string certFile, string keyFile, ILogger logger, TimeProvider time)
    {
        _certFile = certFile;
        _keyFile = keyFile;
        _logger = logger;
        _time = time;
        _looked = time.GetTimestamp();
        try
        {
            _options = Load(out _read);
        }
        catch (Exception e) when (IsBadFile(e))
        {
            throw new IOException($"admin listener: the certificate {certFile} (admin.tls.cert_file) cannot be used: {e.Message}", e);
        }
    }

    /// <summary>For the next handshake.</summary>
    public SslServerAuthenticationOptions Current()
    {
        lock (_gate)
        {
            if (_time.GetElapsedTime(_looked) < Pause) return _options;
            _looked = _time.GetTimestamp();
            string before = _read;
            try
            {
                if (Read() == before) return _options;
                _options = Load(out _read);
                _logger.CertificateReloaded(_certFile);
            }
            catch (Exception e) when (IsBadFile(e))
            {
                _logger.CertificateReloadFailed(_certFile, e.Message);
            }

            return _options;
        }
    }

    private static bool IsBadFile(Exception e) => e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;

    private string Read() => ConfigFiles.Reread(_certFile) + ConfigFiles.Reread(_keyFile);

    private SslServerAuthenticationOptions Load(out string read)
    {
        string certificates = ConfigFiles.Reread(_certFile);
        string key = ConfigFiles.Reread(_keyFile);
        X509Certificate2 own = X509Certificate2.CreateFromPem(certificates, key);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(certificates);
        read = certificates + key;
        return new SslServerAuthenticationOptions
        {
            // Offline: a handshake must not wait for an authority's server.
            ServerCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true),
            ApplicationProtocols = [SslApplicationProtocol.Http11],
        };
    }
}
