using System.Net.Security;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Outbound;

/// <summary>
/// Whom to trust as a gateway, and which certificate to present to it: one for the forward listeners, the probes and the cleanup. The files
/// are read on the control plane, at the start and when they change; connections that are open stay as they are.
/// </summary>
internal sealed class GatewayTls : IDisposable
{
    private readonly GatewayTlsOptions _options;
    private readonly WatchedFiles<Loaded> _files;

    private GatewayTls(GatewayTlsOptions options, ILogger logger, TimeProvider time)
    {
        _options = options;
        try
        {
            _files = new WatchedFiles<Loaded>([options.CaFile, options.CertFile, options.KeyFile], Load, time)
            {
                Changed = logger.GatewayTlsReloaded,
                Failed = logger.GatewayTlsReloadFailed,
            };
        }
        catch (Exception e) when (PemFiles.IsBadFile(e))
        {
            throw new IOException("pushgateway.tls: " + e.Message, e);
        }
    }

    /// <summary>The files as they are now are in use.</summary>
    public bool IsCurrent => _files.IsCurrent;

    /// <summary>When the certificate in use expires; null without one.</summary>
    public DateTimeOffset? NotAfter => _files.Latest.NotAfter;

    /// <returns>Null for gateways with plain HTTP.</returns>
    /// <exception cref="IOException">A file cannot be read or used; the message names it.</exception>
    public static GatewayTls? For(PushgatewayOptions options, ILogger logger, TimeProvider time) =>
        options.Scheme == "https" ? new GatewayTls(options.Tls, logger, time) : null;

    /// <summary>Of one connection, on any thread: waits for nothing and reads nothing.</summary>
    /// <param name="host">The gateway's, without its port.</param>
    public SslClientAuthenticationOptions OptionsFor(string host) => ClientTls.For(_files.Latest.Options, _options.ServerName ?? host.Trim('[', ']'));

    /// <summary>Checks the files once a second by itself.</summary>
    public void StartRefreshing() => _files.StartRefreshing();

    /// <summary>Checks the files now.</summary>
    public void Refresh() => _files.Refresh();

    public void Dispose() => _files.Dispose();

    private Loaded Load(string[] files)
    {
        var options = new SslClientAuthenticationOptions();
        options.CertificateChainPolicy = PemFiles.ChainPolicy(PemFiles.AuthoritiesIn(_options.CaFile is { } ca ? [(ca, files[0])] : []));
        if (_options is not { CertFile: { } certFile, KeyFile: { } keyFile }) return new Loaded(options, null);
        options.ClientCertificateContext = PemFiles.Identity(certFile, files[1], keyFile, files[2]);
        return new Loaded(options, options.ClientCertificateContext.TargetCertificate.NotAfter);
    }

    private sealed record Loaded(SslClientAuthenticationOptions Options, DateTimeOffset? NotAfter);
}
