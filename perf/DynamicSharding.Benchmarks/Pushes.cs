using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using BenchmarkDotNet.Attributes;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Outbound;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Benchmarks;

/// <summary>
/// The whole data plane with its sockets on loopback: one push at a time from a client that allocates nothing, and for the forward listener a
/// gateway that allocates nothing.
/// </summary>
public class Pushes : IDisposable
{
    /// <summary>
    /// Dilutes what the process allocates now and then, 2 to 5 KiB in a run, to a fraction of the least that an object takes (24 bytes): so the gate's bound is 16.
    /// </summary>
    private const int Batch = 768;

    private readonly byte[] _response = new byte[4096];
    private DataServer _server = null!;
    private DataServer _serverToTls = null!;
    private ForwardPlane _forward = null!;
    private ForwardPlane _forwardToTls = null!;
    private Socket _gateway = null!;
    private Socket _tlsGateway = null!;
    private Socket _client = null!;
    private Socket _clientToTls = null!;
    private X509Certificate2 _certificate = null!;
    private SslStream _secureClient = null!;
    private readonly string _authority = Path.GetTempFileName();
    private byte[] _redirectAddress = null!;
    private byte[] _small = null!;
    private byte[] _large = null!;
    private byte[] _chunked = null!;

    [GlobalSetup]
    public void Setup()
    {
        Func<SslServerAuthenticationOptions> serverTls = ServerTls();
        _gateway = StartGateway(static connection => new NetworkStream(connection, ownsSocket: true));
        _tlsGateway = StartGateway(connection => Secured(connection, serverTls()));

        var address = new ListenAddress(IPAddress.Loopback, 0);
        ServerOptions options = new() { HttpListenAddr = address, ForwardListenAddr = address };
        var counters = new DataPlaneCounters(1);
        var ring = new ActiveRing();
        _forward = new ForwardPlane(options, ring, new ForwardCounters(1), 16, NameResolver.Shared, NullLoggerFactory.Instance, TimeProvider.System);
        ring.Publish(RingOf("http", _gateway));
        var readiness = new Readiness();
        readiness.SetReady();
        DataAddress[] addresses =
        [
            new(DataAddresses.Data, "http_listen_addr", address, DataServer.NewRedirectSession),
            new(DataAddresses.Forward, "forward_listen_addr", address, _forward.NewSession),
            new(DataAddresses.ForwardHttps, "forward_https_listen_addr", address, _forward.NewSession, serverTls),
        ];
        _server = new DataServer(options, addresses, ring, readiness, counters, authorize: null, NullLoggerFactory.Instance, TimeProvider.System);
        _server.Start();
        _redirectAddress = _server.EndPoints[0].Serialize().Buffer[..16].ToArray();
        _client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _client.Connect(_server.EndPoints[1]);
        StartServerToTls(options, address, readiness);
        _secureClient = ConnectTls(_server.EndPoints[2]);
        const string Head = "PUT /metrics/job/backup/instance/db-1 HTTP/1.1\r\nHost: edge:9292\r\nUser-Agent: bench/1.0\r\nContent-Type: text/plain\r\n";
        FillPool();
        _small = Encoding.ASCII.GetBytes($"{Head}Content-Length: 120\r\n\r\n{new string('x', 120)}");
        _large = Encoding.ASCII.GetBytes($"{Head}Content-Length: 65536\r\n\r\n{new string('x', 65536)}");
        _chunked = Encoding.ASCII.GetBytes($"{Head}Transfer-Encoding: chunked\r\n\r\n1000\r\n{new string('x', 4096)}\r\n0\r\n\r\n");
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _client.Dispose();
        _clientToTls.Dispose();
        _secureClient.Dispose();
        _certificate.Dispose();
        _gateway.Dispose();
        _tlsGateway.Dispose();
        foreach (DataServer server in new[] { _server, _serverToTls })
        {
            server.StopAsync(TimeSpan.FromSeconds(1)).GetAwaiter().GetResult();
            server.Dispose();
        }

        _forward.Dispose();
        _forwardToTls.Dispose();
        File.Delete(_authority);
        GC.SuppressFinalize(this);
    }

    [Benchmark(OperationsPerInvoke = Batch)]
    public int Forwarded() => Push(_client, _small);

    [Benchmark(OperationsPerInvoke = Batch)]
    public int ForwardedLarge() => Push(_client, _large);

    [Benchmark(OperationsPerInvoke = Batch)]
    public int ForwardedChunked() => Push(_client, _chunked);

    /// <summary>With <c>pushgateway.scheme: https</c>, on a kept connection to the gateway.</summary>
    [Benchmark(OperationsPerInvoke = Batch)]
    public int ForwardedToTlsGateway() => Push(_clientToTls, _small);

    /// <summary>On a kept connection; a handshake allocates.</summary>
    [Benchmark(OperationsPerInvoke = Batch)]
    public int ForwardedOverTls()
    {
        int length = 0;
        for (int i = 0; i < Batch; i++)
        {
            _secureClient.Write(_small);
            length += Checked(_secureClient.Read(_response), "HTTP/1.1 202"u8);
        }

        return length;
    }

    [Benchmark(OperationsPerInvoke = Batch)]
    public int RedirectedOnFreshConnection()
    {
        int length = 0;
        for (int i = 0; i < Batch; i++) length += PushOnFreshConnection();
        return length;
    }

    private Func<SslServerAuthenticationOptions> ServerTls()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var options = new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(_certificate, null, offline: true) };
        return () => options;
    }

    private static SslStream ConnectTls(EndPoint server)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(server);
        var client = new SslStream(new NetworkStream(socket, ownsSocket: true));
#pragma warning disable CA5359 // A certificate of its own, on loopback.
        client.AuthenticateAsClient(new SslClientAuthenticationOptions { TargetHost = "localhost", RemoteCertificateValidationCallback = static (_, _, _, _) => true });
#pragma warning restore CA5359
        return client;
    }

    private unsafe int PushOnFreshConnection()
    {
        int fd = LibC.Socket(LibC.AF_INET, LibC.SOCK_STREAM, 0);
        nint received;
        fixed (byte* address = _redirectAddress, request = _small, response = _response)
        {
            if (LibC.Connect(fd, address, 16) != 0 || LibC.Send(fd, request, (nuint)_small.Length, 0) != _small.Length)
                throw new IOException("the server does not take the push");
            received = LibC.Receive(fd, response, (nuint)_response.Length, 0);
        }

        _ = LibC.Close(fd);
        return Checked((int)received, "HTTP/1.1 307"u8);
    }

    /// <summary>More connections at a time than the benchmark ever has: when one has not ended yet as the next begins, none is created.</summary>
    private void FillPool()
    {
        Socket[] clients = [.. Enumerable.Range(0, 32).Select(static _ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))];
        foreach (Socket client in clients)
        {
            client.Connect(_server.EndPoints[0]);
            client.Send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"u8);
            client.Receive(_response);
        }

        foreach (Socket client in clients) client.Dispose();
    }

    private int Push(Socket client, byte[] request)
    {
        int length = 0;
        for (int i = 0; i < Batch; i++)
        {
            if (client.Send(request) != request.Length) throw new IOException("the server does not take the push");
            length += Checked(client.Receive(_response), "HTTP/1.1 202"u8);
        }

        return length;
    }

    private int Checked(int received, ReadOnlySpan<byte> start) =>
        _response.AsSpan(0, received).StartsWith(start) ? received : throw new IOException(Encoding.ASCII.GetString(_response.AsSpan(0, received)));

    private static HashRing<Gateway> RingOf(string scheme, Socket gateway) =>
        HashRing<Gateway>.Build([new GatewayRegistry(1, scheme, "").For(gateway.LocalEndPoint!.ToString()!)], 500, "group");

    /// <summary>A server of its own: gateways with TLS are a setting of the whole process.</summary>
    private void StartServerToTls(ServerOptions plain, ListenAddress address, Readiness readiness)
    {
        ServerOptions options = plain with
        {
            Pushgateway = plain.Pushgateway with { Scheme = "https", Tls = new GatewayTlsOptions { CaFile = _authority, ServerName = "localhost" } },
        };
        File.WriteAllText(_authority, _certificate.ExportCertificatePem());
        var ring = new ActiveRing();
        ring.Publish(RingOf("https", _tlsGateway));
        _forwardToTls = new ForwardPlane(
            options, ring, new ForwardCounters(1), 16, NameResolver.Shared, NullLoggerFactory.Instance, TimeProvider.System,
            GatewayTls.For(options.Pushgateway, NullLogger.Instance, TimeProvider.System));
        DataAddress[] addresses = [new(DataAddresses.Forward, "forward_listen_addr", address, _forwardToTls.NewSession)];
        _serverToTls = new DataServer(
            options, addresses, ring, readiness, new DataPlaneCounters(1), authorize: null, NullLoggerFactory.Instance, TimeProvider.System);
        _serverToTls.Start();
        _clientToTls = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _clientToTls.Connect(_serverToTls.EndPoints[0]);
    }

    private static Socket StartGateway(Func<Socket, Stream> open)
    {
        var gateway = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        gateway.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        gateway.Listen(16);
        new Thread(() => Accept(gateway, open)) { IsBackground = true }.Start();
        return gateway;
    }

    private static SslStream Secured(Socket connection, SslServerAuthenticationOptions options)
    {
        var stream = new SslStream(new NetworkStream(connection, ownsSocket: true));
        stream.AuthenticateAsServer(options);
        return stream;
    }

    private static void Accept(Socket gateway, Func<Socket, Stream> open)
    {
        try
        {
            while (true)
            {
                Socket connection = gateway.Accept();
                new Thread(() => Respond(open(connection))) { IsBackground = true }.Start();
            }
        }
        catch (SocketException)
        {
            // Closed by the cleanup.
        }
    }

    /// <summary>The head says how much content follows.</summary>
    private static void Respond(Stream connection)
    {
        byte[] buffer = new byte[128 * 1024];
        int length = 0;
        while (true)
        {
            int received = connection.Read(buffer.AsSpan(length));
            if (received == 0) return;
            length += received;
            int head = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) + 4;
            if (head < 4) continue;
            ReadOnlySpan<byte> field = buffer.AsSpan(0, head)[(buffer.AsSpan(0, head).IndexOf("Content-Length: "u8) + 16)..];
            int content = int.Parse(field[..field.IndexOf((byte)'\r')], System.Globalization.CultureInfo.InvariantCulture);
            if (length < head + content) continue;
            length = 0;
            connection.Write("HTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"u8);
        }
    }
}
