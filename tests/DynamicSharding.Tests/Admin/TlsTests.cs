using System.Net;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Tests.Config;

namespace DynamicSharding.Tests.Admin;

public sealed class TlsTests
{
    [Fact]
    public async Task The_page_is_served_by_https_and_its_own_post_is_of_its_own_origin()
    {
        using var folder = new PemFolder();
        await using AdminFixture admin = await StartAsync(folder);
        using HttpClient client = Client(admin, _ => { });
        Assert.Equal("OK\n", await client.GetStringAsync("/-/healthy"));
        Assert.Equal(HttpStatusCode.OK, await ReloadAsync(client, $"https://127.0.0.1:{admin.Listener.Port}"));
        Assert.Equal(HttpStatusCode.Forbidden, await ReloadAsync(client, $"http://127.0.0.1:{admin.Listener.Port}"));
        await Assert.ThrowsAsync<HttpRequestException>(() => admin.Client.GetStringAsync("/-/healthy"));
    }

    [Fact]
    public async Task A_renewed_certificate_is_shown_without_a_reload_and_a_half_renewed_one_is_not()
    {
        using var folder = new PemFolder();
        await using AdminFixture admin = await StartAsync(folder);
        string first = await ShownAsync(admin);
        Assert.Equal(Thumbprint(folder), first);

        // A second must pass by the server's clock: a handshake does not cost two files.
        folder.Issue("admin.crt", "admin.key");
        string second = Thumbprint(folder);
        Assert.Equal(first, await ShownAsync(admin));
        admin.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(second, await ShownAsync(admin));

        folder.Issue("admin.crt", "other.key");
        admin.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(second, await ShownAsync(admin));
        folder.Write("admin.key", "nothing of the kind");
        admin.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(second, await ShownAsync(admin));

        // Missing; then a pipe without a writer, and a device that never ends.
        foreach (string replacement in (string[])["rm {0}", "mkfifo {0}", "ln -sf /dev/zero {0}"])
        {
            using var shell = System.Diagnostics.Process.Start("sh", ["-c", string.Format(null, replacement, Path.Combine(folder.Path, "admin.crt"))]);
            await shell.WaitForExitAsync();
            Assert.Equal(0, shell.ExitCode);
            admin.Time.Advance(TimeSpan.FromSeconds(2));
            Assert.Equal(second, await ShownAsync(admin));
        }

        File.Delete(Path.Combine(folder.Path, "admin.crt"));
        folder.Issue("admin.crt", "admin.key");
        admin.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Thumbprint(folder), await ShownAsync(admin));
    }

    [Fact]
    public void A_certificate_that_cannot_be_used_at_the_start_is_named()
    {
        using var folder = new PemFolder();
        string certificate = folder.Issue("admin.crt", "admin.key");
        folder.Issue("other.crt", "other.key");
        var admin = new AdminFixture();
        admin.Options = admin.Options with { Admin = new AdminOptions { TlsCertFile = certificate, TlsKeyFile = Path.Combine(folder.Path, "other.key") } };
        IOException error = Assert.Throws<IOException>(() => new AdminListener(admin.Context()));
        Assert.StartsWith($"admin listener: the certificate {certificate} (admin.tls.cert_file) cannot be used: ", error.Message, StringComparison.Ordinal);
    }

    private static Task<AdminFixture> StartAsync(PemFolder folder)
    {
        string certificate = folder.Issue("admin.crt", "admin.key");
        var admin = new AdminFixture();
        admin.Options = admin.Options with { Admin = new AdminOptions { TlsCertFile = certificate, TlsKeyFile = Path.Combine(folder.Path, "admin.key") } };
        return admin.StartAsync();
    }

    private static string Thumbprint(PemFolder folder)
    {
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(File.ReadAllText(Path.Combine(folder.Path, "admin.crt")));
        return certificate.Thumbprint;
    }

    private static async Task<string> ShownAsync(AdminFixture admin)
    {
        string shown = "";
        using HttpClient client = Client(admin, certificate => shown = certificate.Thumbprint);
        await client.GetStringAsync("/-/healthy");
        return shown;
    }

    private static HttpClient Client(AdminFixture admin, Action<X509Certificate2> seen)
    {
        var handler = new HttpClientHandler
        {
            UseProxy = false,
            ServerCertificateCustomValidationCallback = (_, certificate, _, _) =>
            {
                seen(certificate!);
                return true;
            },
        };
        return new HttpClient(handler) { BaseAddress = new Uri($"https://127.0.0.1:{admin.Listener.Port}") };
    }

    private static async Task<HttpStatusCode> ReloadAsync(HttpClient client, string origin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/-/reload");
        request.Headers.Add("Origin", origin);
        using HttpResponseMessage response = await client.SendAsync(request);
        return response.StatusCode;
    }
}
