using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A raw TCP server in place of a Pushgateway: records every request and sends a fixed response.</summary>
internal sealed class RecordingGateway : IAsyncDisposable
{
    public const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    private readonly LoopbackServer _server;
    private readonly ConcurrentQueue<RecordedRequest> _requests = new();

    private readonly bool _closes;
    private readonly Func<RecordedRequest, CancellationToken, Task>? _beforeResponse;

    /// <param name="reply">The response, in Latin-1.</param>
    /// <param name="closes">Whether a connection ends with its first response.</param>
    /// <param name="beforeResponse">A delay, for example.</param>
    public RecordingGateway(string reply = Ok, bool closes = false, Func<RecordedRequest, CancellationToken, Task>? beforeResponse = null)
    {
        Reply = reply;
        _closes = closes;
        _beforeResponse = beforeResponse;
        _server = new LoopbackServer(ServeAsync);
    }

    public string Address => _server.Address;

    public string Reply { get; set; }

    /// <summary>A response of its own for each request, in place of <see cref="Reply"/>.</summary>
    public Func<RecordedRequest, string>? ReplyTo { get; init; }

    public int Connections { get; private set; }

    /// <summary>In order of arrival.</summary>
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
            if (_beforeResponse is not null) await _beforeResponse(request, cancellation);
            await socket.SendAsync(Encoding.Latin1.GetBytes(ReplyTo?.Invoke(request) ?? Reply), cancellation);
            if (_closes) return;
        }
    }
}
