using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests;

/// <summary>A Pushgateway with a client that sends a path unchanged, which no HTTP library does.</summary>
internal sealed class RealPushgateway : IAsyncDisposable
{
    private readonly PushgatewayProcess _process;
    private Socket? _socket;
    private StreamReader? _reader;

    private RealPushgateway(PushgatewayProcess process) => _process = process;

    public static async Task<RealPushgateway> StartAsync() =>
        new(await PushgatewayProcess.StartAsync(FreePort.NextAddress(), "--web.enable-admin-api", "--log.level=error"));

    /// <summary>An empty push: the group has only its push times.</summary>
    public int Push(string path) => Send("PUT", path).Status;

    /// <summary>The same, and the target of a redirect by Pushgateway.</summary>
    public (int Status, string? Location) PushFor(string path)
    {
        (int status, _, string? location) = Send("PUT", path);
        return (status, location);
    }

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

    public async ValueTask DisposeAsync()
    {
        Disconnect();
        await _process.DisposeAsync();
    }

    private (int Status, string Body, string? Location) Send(string method, string path)
    {
        if (_socket is null)
        {
            _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 10_000 };
            _socket.Connect(IPEndPoint.Parse(_process.Address));
            _reader = new StreamReader(new NetworkStream(_socket), Encoding.Latin1);
        }

        _socket.Send(Encoding.Latin1.GetBytes($"{method} {path} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"));
        int status = int.Parse(ReadLine().Split(' ')[1], null);
        int length = -1;
        bool keepAlive = false;
        string? location = null;
        for (string line = ReadLine(); line.Length > 0; line = ReadLine())
        {
            if (line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)) length = int.Parse(line.AsSpan(15), null);
            if (line.StartsWith("Location: ", StringComparison.OrdinalIgnoreCase)) location = line[10..];
            keepAlive |= line.Equals("Connection: keep-alive", StringComparison.OrdinalIgnoreCase);
        }

        // With HTTP/1.0, a response without a length ends with the connection.
        if (!keepAlive || length < 0)
        {
            string body = _reader!.ReadToEnd();
            Disconnect();
            return (status, Decode(body), location);
        }

        var buffer = new char[length];
        int read = _reader!.ReadBlock(buffer, 0, length);
        return (status, Decode(new string(buffer, 0, read)), location);
    }

    /// <summary>The length counts bytes, so keep one character per byte until the content is complete.</summary>
    private static string Decode(string bytes) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(bytes));

    private string ReadLine() => _reader!.ReadLine() ?? throw new IOException("Pushgateway closed the connection.");

    private void Disconnect()
    {
        _reader?.Dispose();
        _socket?.Dispose();
        _socket = null;
    }
}
