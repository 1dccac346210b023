using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace DynamicSharding.FunctionalTests;

/// <summary>A Pushgateway process of this test's own, and a client that sends a path's bytes as they are, which no HTTP library does.</summary>
internal sealed class RealPushgateway : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly int _port;
    private Socket? _socket;
    private StreamReader? _reader;

    private RealPushgateway(Process process, int port)
    {
        _process = process;
        _port = port;
    }

    public static RealPushgateway Start()
    {
        int port = FreePort();
        var start = new ProcessStartInfo(FindProgram(), [$"--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api", "--log.level=error"]);
        var gateway = new RealPushgateway(Process.Start(start)!, port);
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                if (gateway.Send("GET", "/-/ready").Status == 200) return gateway;
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                gateway.Disconnect();
            }

            if (clock.Elapsed > StartLimit)
            {
                gateway.Dispose();
                throw new TimeoutException($"Pushgateway did not become ready within {StartLimit}.");
            }

            Thread.Sleep(50);
        }
    }

    /// <summary>An empty push: the group appears with its push times and nothing else.</summary>
    public int Push(string path) => Send("PUT", path).Status;

    public void Wipe() => Assert.Equal(202, Send("PUT", "/api/v1/admin/wipe").Status);

    /// <summary>The label set of every group that it holds.</summary>
    public IEnumerable<Dictionary<string, string>> Groups()
    {
        using JsonDocument answer = JsonDocument.Parse(Send("GET", "/api/v1/metrics").Body);
        foreach (JsonElement group in answer.RootElement.GetProperty("data").EnumerateArray())
        {
            yield return group.GetProperty("labels").Deserialize<Dictionary<string, string>>()!;
        }
    }

    public void Dispose()
    {
        Disconnect();
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private (int Status, string Body) Send(string method, string path)
    {
        if (_socket is null)
        {
            _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 10_000 };
            _socket.Connect(IPAddress.Loopback, _port);
            _reader = new StreamReader(new NetworkStream(_socket), Encoding.Latin1);
        }

        _socket.Send(Encoding.Latin1.GetBytes($"{method} {path} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"));
        int status = int.Parse(ReadLine().Split(' ')[1], null);
        int length = -1;
        bool keepAlive = false;
        for (string line = ReadLine(); line.Length > 0; line = ReadLine())
        {
            if (line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)) length = int.Parse(line.AsSpan(15), null);
            keepAlive |= line.Equals("Connection: keep-alive", StringComparison.OrdinalIgnoreCase);
        }

        // Without a length the answer ends with the connection, which HTTP/1.0 makes simple.
        if (!keepAlive || length < 0)
        {
            string body = _reader!.ReadToEnd();
            Disconnect();
            return (status, Decode(body));
        }

        var buffer = new char[length];
        int read = _reader!.ReadBlock(buffer, 0, length);
        return (status, Decode(new string(buffer, 0, read)));
    }

    /// <summary>The length counts bytes, so a character is one byte until the body is whole.</summary>
    private static string Decode(string bytes) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(bytes));

    private string ReadLine() => _reader!.ReadLine() ?? throw new IOException("Pushgateway closed the connection.");

    private void Disconnect()
    {
        _reader?.Dispose();
        _socket?.Dispose();
        _socket = null;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string FindProgram()
    {
        string[] folders = ["/usr/bin", .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')];
        return folders.Select(folder => Path.Combine(folder, "prometheus-pushgateway")).FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException("prometheus-pushgateway is not installed: run tests/install-peers.sh");
    }
}
