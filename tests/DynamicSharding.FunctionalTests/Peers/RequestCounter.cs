using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Sits between a program and an HTTP server, forwards everything, and counts the requests and the bytes of both directions.</summary>
internal sealed class RequestCounter : IAsyncDisposable
{
    private readonly LoopbackServer _server;
    private readonly IPEndPoint _target;
    private long _requests;
    private long _bytes;

    public RequestCounter(string target)
    {
        _target = IPEndPoint.Parse(target);
        _server = new LoopbackServer(PassAsync);
    }

    public string Address => _server.Address;

    public long Requests => Interlocked.Read(ref _requests);

    public long Bytes => Interlocked.Read(ref _bytes);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task PassAsync(Socket client, CancellationToken ct)
    {
        using Socket server = new(SocketType.Stream, ProtocolType.Tcp);
        await server.ConnectAsync(_target, ct);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task up = CopyAsync(client, server, counts: true, either.Token);
        Task down = CopyAsync(server, client, counts: false, either.Token);
        await Task.WhenAny(up, down);
        await either.CancelAsync();
        await Task.WhenAll(up, down);
    }

    private async Task CopyAsync(Socket from, Socket to, bool counts, CancellationToken ct)
    {
        byte[] buffer = new byte[64 * 1024];
        int count;
        while ((count = await from.ReceiveAsync(buffer, ct)) > 0)
        {
            // The client under test sends a head in one write, and reads the response before it sends the next.
            if (counts && (buffer.AsSpan(0, count).StartsWith("GET "u8) || buffer.AsSpan(0, count).StartsWith("PUT "u8))) Interlocked.Increment(ref _requests);
            Interlocked.Add(ref _bytes, count);
            for (int sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), ct);
        }
    }
}
