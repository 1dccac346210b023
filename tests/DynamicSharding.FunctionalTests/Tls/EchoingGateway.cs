using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>A raw TCP server in place of a Pushgateway: responds with the content of the push.</summary>
internal sealed class EchoingGateway : IAsyncDisposable
{
    private readonly LoopbackServer _server;

    public EchoingGateway() => _server = new LoopbackServer(ServeAsync);

    public string Address => _server.Address;

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        var reader = new RequestReader(socket, Address);
        while (await reader.ReadAsync(cancellation) is { } request)
        {
            byte[] reply = Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {request.Content.Length}\r\n\r\n{request.Content}");
            for (int sent = 0; sent < reply.Length;) sent += await socket.SendAsync(reply.AsMemory(sent), cancellation);
        }
    }
}
