using System.Net.Security;
using System.Security.Authentication;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>The certificate of a listener. A handshake, or a timer, checks at most once a second whether the files have changed.</summary>
internal sealed class ServerCertificate : IDisposable
{
    private readonly DataTlsOptions _tls;
    private readonly WatchedFiles<Loaded> _files;

    /// <param name="listener">As errors call it; its first word is the metrics' label.</param>
    /// <param name="key">The configuration key of the certificate's file.</param>
    /// <param name="tls">With a certificate and its key.</param>
    /// <exception cref="IOException">The files cannot be read or do not match; the message names the file and its key.</exception>
    public ServerCertificate(string listener, string key, DataTlsOptions tls, ILogger logger, TimeProvider time)
    {
        Listener = listener.Split(' ')[0];
        _tls = tls;
        string certFile = tls.CertFile!;
        try
        {
            _files = new WatchedFiles<Loaded>([certFile, tls.KeyFile, tls.ClientCaFile], Load, time)
            {
                Changed = () => logger.CertificateReloaded(certFile),
                Failed = error => logger.CertificateReloadFailed(certFile, error),
            };
        }
        catch (Exception e) when (PemFiles.IsBadFile(e))
        {
            throw new IOException($"{listener}: the certificate {certFile} ({key}) cannot be used: {e.Message}", e);
        }
    }

    public string Listener { get; }

    public TlsHandshakeCallbackOptions Handshake => new()
    {
        HandshakeTimeout = TimeSpan.FromSeconds(10),
        OnConnection = _ => ValueTask.FromResult(Current()),
    };

    /// <summary>The options of the next handshake, without a look at the files: for threads that must not wait for them.</summary>
    public SslServerAuthenticationOptions Latest => _files.Latest.Options;

    /// <summary>When the certificate in use expires.</summary>
    public DateTimeOffset NotAfter => _files.Latest.NotAfter;

    /// <summary>The files as they are now are in use.</summary>
    public bool IsCurrent => _files.IsCurrent;

    /// <summary>Checks the files once a second by itself, for <see cref="Latest"/>.</summary>
    public void StartRefreshing() => _files.StartRefreshing();

    public void Dispose() => _files.Dispose();

    /// <returns>The options of the next handshake.</returns>
    public SslServerAuthenticationOptions Current() => _files.Current().Options;

    /// <summary>Checks the files now.</summary>
    public void Refresh() => _files.Refresh();

    private Loaded Load(string[] files)
    {
        SslStreamCertificateContext own = PemFiles.Identity(_tls.CertFile!, files[0], _tls.KeyFile!, files[1]);
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = own,
            ApplicationProtocols = [SslApplicationProtocol.Http11],
            EnabledSslProtocols = _tls.MinVersion == TlsVersion.Tls13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13,
            AllowRenegotiation = false,
        };
        var loaded = new Loaded(options, own.TargetCertificate.NotAfter);
        if (_tls.ClientCaFile is null) return loaded;
        options.ClientCertificateRequired = true;
        options.CertificateChainPolicy = PemFiles.ChainPolicy(PemFiles.AuthoritiesIn([(_tls.ClientCaFile, files[2])]));
        return loaded;
    }

    private sealed record Loaded(SslServerAuthenticationOptions Options, DateTimeOffset NotAfter);
}
