using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Not a Pushgateway: a raw TCP server that keeps every request as it came and says what it is told to say.</summary>
internal sealed class RecordingGateway : IAsyncDisposable
{
    public const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    private readonly LoopbackServer _server;
    private readonly ConcurrentQueue<RecordedRequest> _requests = new();

    public RecordingGateway(string reply = Ok)
    {
        Reply = reply;
        _server = new LoopbackServer(ServeAsync);
    }

    public string Address => _server.Address;

    public string Reply { get; set; }

    public int Connections { get; private set; }

    /// <summary>In the order of their coming.</summary>
    public RecordedRequest[] Requests => [.. _requests];

    public RecordedRequest[] TakeAll()
    {
        var taken = new List<RecordedRequest>();
        while (_requests.TryDequeue(out RecordedRequest? request)) taken.Add(request);
        return [.. taken];
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        Connections++;
        var reader = new RequestReader(socket, Address);
        while (await reader.ReadAsync(cancellation) is { } request)
        {
            _requests.Enqueue(request);
            await socket.SendAsync(Encoding.Latin1.GetBytes(Reply), cancellation);
        }
    }
}
