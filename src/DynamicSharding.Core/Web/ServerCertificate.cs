using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// The certificate of the admin listener. A handshake checks at most once a second whether the files have changed. It compares their content,
/// because a renewal that moves a symbolic link changes no time stamp. A certificate and key that do not match are ignored: while only one
/// of the two files is new, the old pair stays.
/// </summary>
internal sealed class ServerCertificate
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    private readonly string _certFile;
    private readonly string _keyFile;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private long _checked;
    private string _content;
    private SslServerAuthenticationOptions _options;

    /// <exception cref="IOException">The files cannot be read or do not match; the message names the file and its key.</exception>
    public ServerCertificate(string certFile, string keyFile, ILogger logger, TimeProvider time)
    {
        _certFile = certFile;
        _keyFile = keyFile;
        _logger = logger;
        _time = time;
        _checked = time.GetTimestamp();
        try
        {
            _options = Load(out _content);
        }
        catch (Exception e) when (IsBadFile(e))
        {
            throw new IOException($"admin listener: the certificate {certFile} (admin.tls.cert_file) cannot be used: {e.Message}", e);
        }
    }

    public TlsHandshakeCallbackOptions Handshake => new()
    {
        HandshakeTimeout = TimeSpan.FromSeconds(10),
        OnConnection = _ => ValueTask.FromResult(Current()),
    };

    /// <returns>The options of the next handshake.</returns>
    public SslServerAuthenticationOptions Current()
    {
        lock (_gate)
        {
            if (_time.GetElapsedTime(_checked) < CheckInterval) return _options;
            _checked = _time.GetTimestamp();
            try
            {
                if (ConfigFiles.Reread(_certFile) + ConfigFiles.Reread(_keyFile) == _content) return _options;
                _options = Load(out _content);
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

    private SslServerAuthenticationOptions Load(out string content)
    {
        string certificates = ConfigFiles.Reread(_certFile);
        string key = ConfigFiles.Reread(_keyFile);
        X509Certificate2 own = X509Certificate2.CreateFromPem(certificates, key);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(certificates);
        content = certificates + key;
        return new SslServerAuthenticationOptions
        {
            // Offline: a handshake must not wait for an authority's server.
            ServerCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true),
            ApplicationProtocols = [SslApplicationProtocol.Http11],
        };
    }
}
