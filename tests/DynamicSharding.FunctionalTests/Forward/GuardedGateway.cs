using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A real Pushgateway that requires TLS, a client certificate of its CA, and a password.</summary>
internal sealed class GuardedGateway : IAsyncDisposable
{
    public const string ServerName = "gateway.internal";
    public const string FirstPassword = "first";
    public const string SecondPassword = "second";

    // bcrypt hashes of the passwords, at the lowest cost.
    private const string FirstHash = "$2b$04$abcdefghijklmnopqrstuuvybHXQqehXl2NdtAhT6BAmwe6EZ8HOi";
    private const string SecondHash = "$2b$04$abcdefghijklmnopqrstuu0m4FNu/b0Ul0dVXpD5yXn5kdSneXCgS";

    private readonly TemporaryFolder _folder;
    private readonly ChildProcess _process;

    private GuardedGateway(TemporaryFolder folder, ChildProcess process, string address)
    {
        _folder = folder;
        _process = process;
        Address = address;
        PasswordFile = folder.Write("password", FirstPassword + "\n");
    }

    public string Address { get; }

    public string PasswordFile { get; }

    /// <summary>The <c>pushgateway</c> section's lines that satisfy it.</summary>
    public string Section(string health) => $$"""
          scheme: https
          basic_auth: { username: pusher, password_file: {{PasswordFile}} }
          tls: { ca_file: {{Path("ca.pem")}}, cert_file: {{Path("client.pem")}}, key_file: {{Path("client.key")}}, server_name: {{ServerName}} }
          health_check: { {{health}} }
        """;

    public static async Task<GuardedGateway> StartAsync()
    {
        var folder = new TemporaryFolder();
        using ECDsa authorityKey = ECDsa.Create();
        var request = new CertificateRequest("CN=test authority", authorityKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        using X509Certificate2 authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        folder.Write("ca.pem", authority.ExportCertificatePem());
        Issue(folder, authority, "server", ServerName);
        Issue(folder, authority, "client", "client.internal");
        string config = folder.Write("web.yml", $"""
            tls_server_config:
              cert_file: {folder.Path}/server.pem
              key_file: {folder.Path}/server.key
              client_auth_type: RequireAndVerifyClientCert
              client_ca_file: {folder.Path}/ca.pem
            basic_auth_users:
              pusher: {FirstHash}

            """);
        string address = FreePort.NextAddress();
        ChildProcess process = await ChildProcess.StartAsync(
            "guarded pushgateway " + address,
            "prometheus-pushgateway",
            ["--web.listen-address=" + address, "--persistence.file=", "--web.config.file=" + config]);
        var gateway = new GuardedGateway(folder, process, address);
        await process.WaitUntilReadyAsync(
            async () =>
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPEndPoint.Parse(address));
                return true;
            },
            TimeSpan.FromSeconds(30));
        return gateway;
    }

    /// <summary>From now on only the second password is valid: Pushgateway reloads the file for every connection.</summary>
    public void ChangePassword()
    {
        string path = Path("web.yml");
        File.WriteAllText(path, File.ReadAllText(path).Replace(FirstHash, SecondHash, StringComparison.Ordinal));
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private string Path(string name) => System.IO.Path.Combine(_folder.Path, name);

    private static void Issue(TemporaryFolder folder, X509Certificate2 authority, string name, string host)
    {
        using ECDsa key = ECDsa.Create();
        var request = new CertificateRequest("CN=" + host, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.Create(authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), RandomNumberGenerator.GetBytes(8));
        folder.Write(name + ".pem", certificate.ExportCertificatePem());
        folder.Write(name + ".key", key.ExportPkcs8PrivateKeyPem());
    }
}
