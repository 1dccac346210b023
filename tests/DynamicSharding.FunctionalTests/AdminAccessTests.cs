using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Browser;
using DynamicSharding.FunctionalTests.Peers;
using Microsoft.Playwright;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Who may use the admin listener: a real Prometheus, a browser and the program's own commands, if they have the password.</summary>
public sealed class AdminAccessTests(Chromium chromium, ITestOutputHelper output) : PeerTest(output), IClassFixture<Chromium>
{
    private const string Password = "s3cret, with a colon: and \u00fcmlauts";

    private static readonly string Hash = BCrypt.Net.BCrypt.HashPassword(Password, 8);

    private static readonly string Fleet = $$"""
        pushgateway:
          servers: [127.0.0.1:9091, 127.0.0.2:9091]
          health_check: { enabled: false }
        admin:
          basic_auth_users: { ops: "{{Hash}}" }

        """;

    [Fact, Trait("Smoke", "true")]
    public async Task A_Prometheus_with_the_password_scrapes_over_TLS_and_one_without_does_not()
    {
        using TemporaryFolder folder = new();
        (string certificate, string key) = Issue(folder);
        DynamicShardingProcess server = await StartAsync($"{Fleet}  tls: {{ cert_file: {certificate}, key_file: {key} }}\n");
        string target = $$"""
            scheme: https
                tls_config: { ca_file: {{certificate}}, server_name: localhost }
                static_configs: [{ targets: ["{{server.AdminAddress}}"] }]
            """;
        PrometheusProcess prometheus = await TestPeers.PrometheusAsync($$"""
            global: { scrape_interval: 1s, scrape_timeout: 1s }
            scrape_configs:
              - job_name: right
                basic_auth: { username: ops, password: "{{Password}}" }
                {{target}}
              - job_name: wrong
                basic_auth: { username: ops, password: guess }
                {{target}}
              - job_name: none
                {{target}}
            """);
        string up = "";
        await Eventually.TrueAsync(
            async () =>
            {
                IEnumerable<string> jobs = (await prometheus.QueryAsync("up")).Select(series => $"{series["job"]}={series["value"]}");
                up = string.Join(' ', jobs.Order(StringComparer.Ordinal));
                return up == "none=0 right=1 wrong=0";
            },
            TimeSpan.FromSeconds(30),
            () => $"up: {up}");
        IReadOnlyList<IReadOnlyDictionary<string, string>> refused =
            await prometheus.QueryAsync("dynamic_sharding_admin_rejected_requests_total{job=\"right\",reason=\"unauthorized\"}");
        Assert.Single(refused);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_browser_with_the_password_sees_the_page_and_follows_it(bool scripts)
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        string url = $"http://{server.AdminAddress}/?q=job%3Da";
        await using (Visit stranger = await chromium.VisitAsync(new() { JavaScriptEnabled = scripts }))
        {
            PlaywrightException refused = await Assert.ThrowsAsync<PlaywrightException>(() => stranger.Page.GotoAsync(url));
            Assert.Contains("AUTH_CREDENTIALS", refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("127.0.0.2:9091", await ContentAsync(stranger.Page), StringComparison.Ordinal);
        }

        await using Visit visit = await chromium.VisitAsync(new()
        {
            JavaScriptEnabled = scripts,
            HttpCredentials = new() { Username = "ops", Password = Password },
        });
        Assert.Equal(200, (await visit.Page.GotoAsync(url))!.Status);
        await visit.Page.FillAsync("#q", "job=b");
        await visit.Page.PressAsync("#q", "Enter");
        await Assertions.Expect(visit.Page.Locator("#found")).ToContainTextAsync("/metrics/job/b");
        string page = await visit.Page.ContentAsync();
        Assert.DoesNotContain(Hash, page, StringComparison.Ordinal);
        Assert.Contains("ops: (hidden)", page, StringComparison.Ordinal);
    }

    /// <summary>A refused navigation ends on a page of the browser's own, a moment later.</summary>
    private static async Task<string> ContentAsync(IPage page)
    {
        string content = "";
        await Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    content = await page.ContentAsync();
                    return true;
                }
                catch (PlaywrightException)
                {
                    return false;
                }
            },
            TimeSpan.FromSeconds(20),
            () => "the browser's own page");
        return content;
    }

    [Fact]
    public async Task Changed_users_wait_for_a_restart_and_the_old_password_goes_on()
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        server.WriteConfig(Fleet.Replace("ops:", "other:", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.ReloadAsync()).Status);
        using HttpClient client = LoopbackHttp.Client(server.AdminAddress);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes("ops:" + Password)));
        using HttpResponseMessage reload = await client.PostAsync("-/reload", null);
        Assert.Equal("OK\nneeds a restart: admin.basic_auth_users\n", await reload.Content.ReadAsStringAsync());
        using JsonDocument status = JsonDocument.Parse(await client.GetStringAsync("api/v1/status"));
        Assert.Contains(
            "Changed in the file but not active: admin.basic_auth_users.",
            status.RootElement.GetProperty("warnings").EnumerateArray().Select(warning => warning.GetProperty("what").GetString()));
    }

    [Fact]
    public async Task The_program_s_own_commands_take_the_password_in_the_URL()
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        string owner = await server.OwnerOfAsync("/metrics/job/a");
        string url = $"http://ops:{Uri.EscapeDataString(Password)}@{server.AdminAddress}";
        (int exitCode, string said) = await DynamicShardingProcess.RunAsync("lookup", "--url", url, "/metrics/job/a");
        Assert.True(exitCode == 0, said);
        Assert.Contains(owner, said, StringComparison.Ordinal);

        (exitCode, said) = await DynamicShardingProcess.RunAsync("lookup", "--url", url.Replace("s3cret", "guess", StringComparison.Ordinal), "/metrics/job/a");
        Assert.Equal(1, exitCode);
        Assert.Equal(
            $"http://{server.AdminAddress}/api/v1/status: 401, the server requires a user name and password (admin.basic_auth_users); "
                + "put them before the host: http://user:password@host:9293\n",
            said);

        (exitCode, said) = await DynamicShardingProcess.RunAsync("lookup", "--url", $"http://{server.Address}", "/metrics/job/a");
        Assert.Equal(1, exitCode);
        Assert.Contains("404, this is not an admin listener of dynamic-sharding; its port is that of admin_listen_addr", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_admin_address_only_the_data_listener_listens()
    {
        string address = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"http_listen_addr: {address}\nadmin_listen_addr: \"\"\npushgateway: {{ servers: [127.0.0.1], health_check: {{ enabled: false }} }}\nshutdown: {{ drain_delay: 0s }}\n",
            address,
            FreePort.NextAddress());
        await server.WaitUntilReadyAsync();
        Assert.Equal("127.0.0.1:9091", await server.OwnerOfAsync("/metrics/job/a"));
        Assert.Equal([int.Parse(address.Split(':')[1], CultureInfo.InvariantCulture)], ListeningPorts(server.Process.Pid));
    }

    private async Task<DynamicShardingProcess> StartAsync(string config)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await server.WaitUntilReadyAsync();
        return server;
    }

    internal static (string Certificate, string Key) Issue(TemporaryFolder folder)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return (folder.Write("admin.crt", certificate.ExportCertificatePem()), folder.Write("admin.key", key.ExportPkcs8PrivateKeyPem()));
    }

    /// <summary>From the kernel: the ports of the process's own sockets that are in the state LISTEN.</summary>
    private static int[] ListeningPorts(int pid)
    {
        HashSet<string> sockets =
        [
            .. Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd")
                .Select(fd => new FileInfo(fd).LinkTarget ?? "")
                .Where(target => target.StartsWith("socket:[", StringComparison.Ordinal))
                .Select(target => target["socket:[".Length..^1]),
        ];
        return
        [
            .. File.ReadLines($"/proc/{pid}/net/tcp").Concat(File.ReadLines($"/proc/{pid}/net/tcp6"))
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Where(row => row.Length > 9 && row[3] == "0A" && sockets.Contains(row[9]))
                .Select(row => int.Parse(row[1].Split(':')[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture))
                .Distinct(),
        ];
    }
}
