using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// The certificate of a listener. A handshake checks at most once a second whether the files have changed. It compares their content,
/// because a renewal that moves a symbolic link changes no time stamp. A certificate and key that do not match are ignored: while only one
/// of the two files is new, the old pair stays.
/// </summary>
internal sealed class ServerCertificate : IDisposable
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    private readonly string _certFile;
    private readonly string _keyFile;
    private readonly DataTlsOptions _tls;
    private ITimer? _refresh;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private long _checked;
    private string _content;
    private SslServerAuthenticationOptions _options;

    /// <param name="listener">As errors call it.</param>
    /// <param name="key">The configuration key of the certificate's file.</param>
    /// <param name="tls">With a certificate and its key.</param>
    /// <exception cref="IOException">The files cannot be read or do not match; the message names the file and its key.</exception>
    public ServerCertificate(string listener, string key, DataTlsOptions tls, ILogger logger, TimeProvider time)
    {
        _tls = tls;
        _certFile = tls.CertFile!;
        _keyFile = tls.KeyFile!;
        _logger = logger;
        _time = time;
        _checked = time.GetTimestamp();
        try
        {
            _options = Load(out _content);
        }
        catch (Exception e) when (IsBadFile(e))
        {
            throw new IOException($"{listener}: the certificate {_certFile} ({key}) cannot be used: {e.Message}", e);
        }
    }

    public TlsHandshakeCallbackOptions Handshake => new()
    {
        HandshakeTimeout = TimeSpan.FromSeconds(10),
        OnConnection = _ => ValueTask.FromResult(Current()),
    };

    /// <summary>The options of the next handshake, without a look at the files: for threads that must not wait for them.</summary>
    public SslServerAuthenticationOptions Latest => Volatile.Read(ref _options);

    /// <summary>Checks the files once a second by itself, for <see cref="Latest"/>.</summary>
    public void StartRefreshing() => _refresh = _time.CreateTimer(_ => Current(), null, CheckInterval, CheckInterval);

    public void Dispose() => _refresh?.Dispose();

    /// <returns>The options of the next handshake.</returns>
    public SslServerAuthenticationOptions Current()
    {
        lock (_gate)
        {
            if (_time.GetElapsedTime(_checked) < CheckInterval) return _options;
            _checked = _time.GetTimestamp();
            try
            {
                if (Read() == _content) return _options;
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

    private string Read() => ConfigFiles.Reread(_certFile) + ConfigFiles.Reread(_keyFile) + (_tls.ClientCaFile is { } ca ? ConfigFiles.Reread(ca) : "");

    private SslServerAuthenticationOptions Load(out string content)
    {
        string certificates = ConfigFiles.Reread(_certFile);
        string key = ConfigFiles.Reread(_keyFile);
        X509Certificate2 own = X509Certificate2.CreateFromPem(certificates, key);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(certificates);
        content = Read();
        var options = new SslServerAuthenticationOptions
        {
            // Offline: a handshake must not wait for an authority's server.
            ServerCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true),
            ApplicationProtocols = [SslApplicationProtocol.Http11],
            EnabledSslProtocols = _tls.MinVersion == TlsVersion.Tls13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13,
        };
        if (_tls.ClientCaFile is not { } clientCa) return options;
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPem(ConfigFiles.Reread(clientCa));
        options.ClientCertificateRequired = true;
        options.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        return options;
    }
}
