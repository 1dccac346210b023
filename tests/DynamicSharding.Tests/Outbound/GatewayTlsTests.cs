using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Config;
using DynamicSharding.Outbound;
using DynamicSharding.Tests.Config;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests.Outbound;

/// <summary>The files of pushgateway.tls, at the start and when they change.</summary>
public sealed class GatewayTlsTests : IDisposable
{
    private readonly PemFolder _folder = new();
    private readonly GatewayTlsOptions _files;

    public GatewayTlsTests() => _files = new GatewayTlsOptions
    {
        CertFile = _folder.Issue("client.crt", "client.key"),
        KeyFile = Path.Combine(_folder.Path, "client.key"),
        CaFile = _folder.Issue("ca.crt", "ca.key"),
    };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Plain_HTTP_needs_none() => Assert.Null(GatewayTls.For(new PushgatewayOptions { Tls = _files }, NullLogger.Instance, TimeProvider.System));

    [Theory]
    [InlineData("client.crt", "nothing of the kind")]
    [InlineData("client.key", "")]
    [InlineData("client.key", null)]
    [InlineData("ca.crt", "nothing of the kind")]
    [InlineData("ca.crt", "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")]
    public void A_file_that_is_bad_at_the_start_is_named_and_later_what_was_read_before_stays(string name, string? content)
    {
        using GatewayTls tls = New(_files);
        X509Certificate2 shown = tls.OptionsFor("gw").ClientCertificateContext!.TargetCertificate;
        string path = Path.Combine(_folder.Path, name), before = File.ReadAllText(path);
        if (content is null) File.Delete(path);
        else File.WriteAllText(path, content);

        var error = Assert.ThrowsAny<IOException>(() => New(_files));
        Assert.StartsWith("pushgateway.tls: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);

        tls.Refresh();
        Assert.False(tls.IsCurrent);
        Assert.Same(shown, tls.OptionsFor("gw").ClientCertificateContext!.TargetCertificate);

        // The same content again is no change.
        File.WriteAllText(path, before);
        tls.Refresh();
        Assert.True(tls.IsCurrent);
        Assert.Same(shown, tls.OptionsFor("gw").ClientCertificateContext!.TargetCertificate);
    }

    [Theory]
    [InlineData("gw.example", null, "gw.example")]
    [InlineData("[fd00::1]", null, "fd00::1")]
    [InlineData("10.0.0.1", "gateway.internal", "gateway.internal")]
    public void The_name_in_the_certificate_is_the_host_or_the_configured_one(string host, string? serverName, string expected)
    {
        using GatewayTls tls = New(_files with { ServerName = serverName });
        Assert.Equal(expected, tls.OptionsFor(host).TargetHost);
        Assert.Equal(X509ChainTrustMode.CustomRootTrust, tls.OptionsFor(host).CertificateChainPolicy!.TrustMode);
        Assert.True(tls.OptionsFor(host).CertificateChainPolicy!.DisableCertificateDownloads);
    }

    private static GatewayTls New(GatewayTlsOptions files) =>
        GatewayTls.For(new PushgatewayOptions { Scheme = "https", Tls = files }, NullLogger.Instance, TimeProvider.System)!;
}
