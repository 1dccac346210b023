using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>
/// The program under the unit's own restrictions (tests/sandbox.py): system calls, address families, namespaces, capabilities, a read-only
/// root, a bare /proc, and for the NativeAOT binary no memory that is both writable and executable.
/// </summary>
public sealed class SandboxTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>A build for the .NET runtime uses the JIT, which MemoryDenyWriteExecute= forbids.</summary>
    private static readonly string[] Restrictions = File.Exists(Binary.Path + ".dll") ? ["--jit"] : [];

    [Fact, Trait("Smoke", "true")]
    public async Task Names_TLS_pushes_reload_notification_and_stop_work_in_it()
    {
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        using X509Certificate2 certificate = Issue();
        folder.Write("ca.pem", certificate.ExportCertificatePem());
        await using LoopbackServer gateway = new((socket, stop) => AnswerAsync(socket, certificate, stop));
        string port = gateway.Address.Split(':')[1];
        string address = FreePort.NextAddress();
        string admin = FreePort.NextAddress();
        string config = folder.Write("c.yml", $$"""
            http_listen_addr: {{address}}
            admin_listen_addr: {{admin}}
            pushgateway:
              scheme: https
              servers: ["localhost:{{port}}", "127.0.0.1:{{FreePort.Next()}}"]
              tls: { ca_file: ca.pem }
              health_check: { type: http, interval: 1s, timeout: 1s, failures_before_critical: 1 }
            membership: { settle: 0s, mass_loss_ratio: 1 }
            shutdown: { drain_delay: 0s }
            """);
        string[] arguments =
        [
            Path.Combine(Binary.RepositoryRoot, "tests/sandbox.py"), .. Restrictions,
            Path.Combine(Binary.RepositoryRoot, "config/systemd/dynamic-sharding.service"), Binary.Path, "--config.file", config,
        ];
        Dictionary<string, string> environment = manager.Environment(TimeSpan.FromSeconds(4));
        environment["DOTNET_ROOT"] = Binary.DotnetRoot;
        environment["DOTNET_EnableDiagnostics"] = "0"; // the runtime's own socket in /tmp, which cannot be written
        await using ChildProcess server = await ChildProcess.StartAsync("sandbox.py", "python3", arguments, environment);
        using HttpClient data = LoopbackHttp.Client(address, followRedirects: false);
        using HttpClient status = LoopbackHttp.Client(admin);

        // The name was resolved, the certificate accepted, and the missing gateway has left.
        await server.WaitUntilReadyAsync(async () => await MembersAsync(status) is [var only] && only == "localhost:" + port, TimeSpan.FromSeconds(30));
        using HttpResponseMessage reply = await data.PutAsync("metrics/job/a", null);
        Assert.Equal($"https://localhost:{port}/metrics/job/a", reply.Headers.Location?.ToString());
        Assert.Equal("2", Field(server, "Seccomp"));
        Assert.Equal("0000000000000000", Field(server, "CapEff"));
        Assert.DoesNotContain("setpriority", server.Output, StringComparison.Ordinal);
        await manager.WaitForAsync(text => text == "WATCHDOG=1", "a sign of life");

        int heard = manager.Heard.Length;
        server.Hangup();
        await manager.WaitForAsync(text => text.StartsWith("RELOADING=1\n", StringComparison.Ordinal), "the reload", heard);
        await manager.WaitForAsync(text => text.StartsWith("READY=1\n", StringComparison.Ordinal), "its end", heard);
        server.Terminate();
        Assert.Equal(0, await server.WaitForExitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact, Trait("Smoke", "true")]
    public async Task The_sandbox_refuses_what_the_unit_forbids()
    {
        const string Attempt = """
            import ctypes, os, socket
            libc = ctypes.CDLL(None, use_errno=True)
            def refused(what, attempt):
                try:
                    if attempt() in (-1, None): return
                except OSError: return
                raise SystemExit(what + ' is allowed')
            refused('a packet socket', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
            refused('a namespace', lambda: libc.unshare(0x10000000))
            refused('a real-time priority', lambda: libc.sched_setaffinity(0, 8, ctypes.byref(ctypes.c_ulong(1))))
            refused('a mount', lambda: libc.mount(None, b'/', None, 32, None))
            refused('a file', lambda: os.open('/tmp/dynamic-sharding-sandbox', os.O_CREAT | os.O_WRONLY))
            libc.mmap.restype = ctypes.c_long
            refused('writable code', lambda: libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0)))
            print('all refused')
            """;
        string unit = Path.Combine(Binary.RepositoryRoot, "config/systemd/dynamic-sharding.service");
        await using ChildProcess attempt = await ChildProcess.StartAsync(
            "sandbox.py", "python3", [Path.Combine(Binary.RepositoryRoot, "tests/sandbox.py"), unit, "python3", "-c", Attempt]);
        Assert.True(await attempt.WaitForExitAsync(TimeSpan.FromSeconds(30)) == 0, attempt.Output);
        Assert.Contains("all refused", attempt.Output, StringComparison.Ordinal);
    }

    private static async Task<string[]> MembersAsync(HttpClient admin)
    {
        using JsonDocument status = JsonDocument.Parse(await admin.GetStringAsync("api/v1/ring"));
        return [.. status.RootElement.GetProperty("members").EnumerateArray().Select(member => member.GetProperty("address").GetString()!)];
    }

    private static string Field(ChildProcess process, string name) =>
        File.ReadAllLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Pid}/status"))
            .First(line => line.StartsWith(name + ":", StringComparison.Ordinal)).Split('\t')[1];

    private static async Task AnswerAsync(Socket socket, X509Certificate2 certificate, CancellationToken stop)
    {
        await using NetworkStream plain = new(socket);
        await using SslStream secure = new(plain);
        await secure.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, stop);
        byte[] buffer = new byte[4096];
        while (await secure.ReadAsync(buffer, stop) > 0) await secure.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"u8.ToArray(), stop);
    }

    private static X509Certificate2 Issue()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }
}
