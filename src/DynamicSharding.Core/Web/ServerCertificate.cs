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
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private ITimer? _refresh;
    private long _checked;
    private Files _files;

    /// <summary>What the files had when they were last found bad, so that it is logged once; null while they are in use.</summary>
    private Files? _bad;
    private Loaded _loaded;

    /// <param name="listener">As errors call it; its first word is the metrics' label.</param>
    /// <param name="key">The configuration key of the certificate's file.</param>
    /// <param name="tls">With a certificate and its key.</param>
    /// <exception cref="IOException">The files cannot be read or do not match; the message names the file and its key.</exception>
    public ServerCertificate(string listener, string key, DataTlsOptions tls, ILogger logger, TimeProvider time)
    {
        Listener = listener.Split(' ')[0];
        _tls = tls;
        _certFile = tls.CertFile!;
        _keyFile = tls.KeyFile!;
        _logger = logger;
        _time = time;
        _checked = time.GetTimestamp();
        try
        {
            _files = Read();
            _loaded = Load(_files);
        }
        catch (Exception e) when (IsBadFile(e))
        {
            throw new IOException($"{listener}: the certificate {_certFile} ({key}) cannot be used: {e.Message}", e);
        }
    }

    public string Listener { get; }

    public TlsHandshakeCallbackOptions Handshake => new()
    {
        HandshakeTimeout = TimeSpan.FromSeconds(10),
        OnConnection = _ => ValueTask.FromResult(Current()),
    };

    /// <summary>The options of the next handshake, without a look at the files: for threads that must not wait for them.</summary>
    public SslServerAuthenticationOptions Latest => Volatile.Read(ref _loaded).Options;

    /// <summary>When the certificate in use expires.</summary>
    public DateTimeOffset NotAfter => Volatile.Read(ref _loaded).NotAfter;

    /// <summary>The files as they are now are in use.</summary>
    public bool IsCurrent => Volatile.Read(ref _bad) is null;

    /// <summary>Checks the files once a second by itself, for <see cref="Latest"/>.</summary>
    public void StartRefreshing() => _refresh = _time.CreateTimer(_ => Current(), null, CheckInterval, CheckInterval);

    public void Dispose() => _refresh?.Dispose();

    /// <returns>The options of the next handshake.</returns>
    public SslServerAuthenticationOptions Current()
    {
        lock (_gate)
        {
            if (_time.GetElapsedTime(_checked) >= CheckInterval) Check();
            return _loaded.Options;
        }
    }

    /// <summary>Checks the files now.</summary>
    public void Refresh()
    {
        lock (_gate) Check();
    }

    private void Check()
    {
        _checked = _time.GetTimestamp();
        Files files = default!;
        try
        {
            files = Read();
            if (files == _bad) return;
            if (files != _files)
            {
                Volatile.Write(ref _loaded, Load(files));
                _files = files;
                _logger.CertificateReloaded(_certFile);
            }

            Volatile.Write(ref _bad, null);
        }
        catch (Exception e) when (IsBadFile(e))
        {
            // A file that cannot be read has no content; the reason takes its place.
            files ??= new Files(e.Message, "", "");
            if (files == _bad) return;
            Volatile.Write(ref _bad, files);
            _logger.CertificateReloadFailed(_certFile, e.Message);
        }
    }

    private static bool IsBadFile(Exception e) => e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;

    private Files Read() =>
        new(ConfigFiles.Reread(_certFile), ConfigFiles.Reread(_keyFile), _tls.ClientCaFile is { } ca ? ConfigFiles.Reread(ca) : "");

    private Loaded Load(Files files)
    {
        X509Certificate2 own = X509Certificate2.CreateFromPem(files.Certificates, files.Key);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(files.Certificates);
        var options = new SslServerAuthenticationOptions
        {
            // Offline: a handshake must not wait for an authority's server.
            ServerCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true),
            ApplicationProtocols = [SslApplicationProtocol.Http11],
            EnabledSslProtocols = _tls.MinVersion == TlsVersion.Tls13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13,
            AllowRenegotiation = false,
        };
        var loaded = new Loaded(options, own.NotAfter);
        if (_tls.ClientCaFile is null) return loaded;
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPem(files.ClientAuthorities);
        if (authorities.Count == 0) throw new CryptographicException($"{_tls.ClientCaFile} has no certificate");
        options.ClientCertificateRequired = true;
        options.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        return loaded;
    }

    private sealed record Files(string Certificates, string Key, string ClientAuthorities);

    private sealed record Loaded(SslServerAuthenticationOptions Options, DateTimeOffset NotAfter);
}
