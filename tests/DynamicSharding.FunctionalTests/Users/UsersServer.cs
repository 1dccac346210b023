using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Users;

/// <summary>A server with all four data listeners over one recording gateway.</summary>
internal sealed class UsersServer
{
    public const string Redirect = "http_listen_addr";
    public const string RedirectTls = "https_listen_addr";
    public const string Forwarding = "forward_listen_addr";
    public const string ForwardTls = "forward_https_listen_addr";

    /// <summary>In UTF-8 as browsers and curl send it.</summary>
    public const string Password = "s3cret: with a colon, \u00e4";

    private readonly Dictionary<string, string> _addresses;
    private readonly string _base;

    private UsersServer(DynamicShardingProcess process, Dictionary<string, string> addresses, string text)
    {
        Process = process;
        _addresses = addresses;
        _base = text;
    }

    public DynamicShardingProcess Process { get; }

    public string this[string listener] => _addresses[listener];

    public static TheoryData<string> Listeners => [Redirect, RedirectTls, Forwarding, ForwardTls];

    public static TheoryData<string> PlainListeners => [Redirect, Forwarding];

    /// <param name="more">More of the file: users, prefix.</param>
    /// <param name="pushgateway">More lines of that section, indented by two spaces.</param>
    public static async Task<UsersServer> StartAsync(
        TestPeers peers, TemporaryFolder folder, string gateway, string more, string pushgateway = "", IReadOnlyDictionary<string, string>? environment = null)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        string certFile = folder.Write("edge.crt", certificate.ExportCertificatePem());
        string keyFile = folder.Write("edge.key", key.ExportPkcs8PrivateKeyPem());
        Dictionary<string, string> addresses = new[] { Redirect, RedirectTls, Forwarding, ForwardTls }.ToDictionary(name => name, _ => FreePort.NextAddress());
        string admin = FreePort.NextAddress();
        string listeners = string.Concat(addresses.Where(pair => pair.Key != Redirect).Select(pair => $"{pair.Key}: {pair.Value}\n"));
        string text = $$"""
            {{listeners}}tls: { cert_file: {{certFile}}, key_file: {{keyFile}} }
            pushgateway:
              servers: ["{{gateway}}"]
              health_check: { enabled: false }
            {{pushgateway}}

            """;
        string shutdown = more.Contains("shutdown:", StringComparison.Ordinal) ? "" : "shutdown: { drain_delay: 0s }\n";
        string config = $"http_listen_addr: {addresses[Redirect]}\nadmin_listen_addr: {admin}\n{shutdown}{text}{more}\n";
        DynamicShardingProcess process = await peers.DynamicShardingAsync(config, addresses[Redirect], admin, environment);
        await process.WaitUntilReadyAsync();
        return new UsersServer(process, addresses, text);
    }

    /// <summary>Replaces what was <c>more</c>, and reloads.</summary>
    public async Task ReloadAsync(string more)
    {
        Process.WriteConfig(_base + more + "\n");
        Assert.Equal((System.Net.HttpStatusCode.OK, "OK\n"), await Process.ReloadAsync());
    }

    public static string UsersOf(params (string Name, string Hash)[] users) =>
        $"basic_auth_users: {{ {string.Join(", ", users.Select(user => $"{user.Name}: \"{user.Hash}\""))} }}\n";

    public static string Hash(string password, int cost) => BCrypt.Net.BCrypt.HashPassword(password, cost);

    /// <summary>An Authorization field line.</summary>
    public static string Basic(string name, string password) =>
        $"Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"))}\r\n";

    public static string Put(string fields = "", string target = "/metrics/job/a") => ForwardServer.Put(target, fields: fields);

    /// <summary>Sends requests on one new connection, the last of which asks to close it; everything that comes back.</summary>
    public async Task<string> ExchangeAsync(string listener, string requests)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(System.Net.IPEndPoint.Parse(_addresses[listener]));
        await using Stream stream = listener is RedirectTls or ForwardTls ? await SecureAsync(client.GetStream()) : client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(requests));
        var received = new MemoryStream();
        await stream.CopyToAsync(received).WaitAsync(TimeSpan.FromSeconds(30));
        return Encoding.Latin1.GetString(received.ToArray());
    }

    /// <summary>Pushes once on a new connection.</summary>
    public async Task<string> PushAsync(string listener, string fields = "", string target = "/metrics/job/a") =>
        await ExchangeAsync(listener, Put(fields + "Connection: close\r\n", target));

    private static async Task<Stream> SecureAsync(NetworkStream inner)
    {
        var tls = new SslStream(inner, leaveInnerStreamOpen: false, static (_, presented, _, _) => presented is not null);
        await tls.AuthenticateAsClientAsync("localhost");
        return tls;
    }
}
