using System.Globalization;
using System.Net.Sockets;

namespace DynamicSharding.Tests.Forward;

/// <summary>A gateway with a fault of its own for about every third push: late, early, broken, endless, doubled or missing responses.</summary>
internal sealed class RandomGateway : IAsyncDisposable
{
    private readonly ScriptedGateway _gateway;

    public RandomGateway() => _gateway = new ScriptedGateway(ServeAsync);

    public string Address => _gateway.Address;

    public ValueTask DisposeAsync() => _gateway.DisposeAsync();

    private async Task ServeAsync(Socket socket, CancellationToken cancellation)
    {
        var reader = new ContentReader(socket, cancellation);
        while (await reader.ReadHeadAsync() is { } head && await RespondAsync(socket, reader, head, cancellation))
        {
        }
    }

    /// <returns>Whether the connection stays.</returns>
    private async Task<bool> RespondAsync(Socket socket, ContentReader reader, string head, CancellationToken cancellation)
    {
        Task SendAsync(Socket socket, string text) => ScriptedGateway.SendAsync(socket, text, cancellation);
        string marker = head.Split(' ')[1].Split('/')[^1];
        Random random = Random.Shared;
        int fault = random.Next(60);
        if (fault == 0) return false; // closed on the head
        if (fault == 1) return Reset(socket);
        if (fault is 2 or 3) // early, whatever the client still sends
        {
            await SendAsync(socket, Response(random, marker));
            return false;
        }

        if (fault == 4 && random.Next(10) == 0) await Task.Delay(1500, cancellation); // stops reading
        await reader.SkipContentAsync(head);
        string response = Response(random, marker);
        switch (fault)
        {
            case 5 or 6:
                return false;
            case 7:
                return Reset(socket);
            case 8:
                await SendAsync(socket, response[..random.Next(response.Length)]);
                return false;
            case 9:
                await SendAsync(socket, response[..random.Next(response.Length)]);
                return Reset(socket);
            case 10:
                await SendAsync(socket, response + Response(random, "m0-second"));
                return true;
            case 11:
                await SendAsync(socket, response + "m0-behind");
                return true;
            case 12:
                await SendAsync(socket, string.Concat(Enumerable.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", random.Next(40))) + response);
                return true;
            case 13:
                const string Whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok";
                await SendAsync(socket, Whole.Insert(random.Next(Whole.Length), ((char)random.Next(256)).ToString()));
                return false;
            case 14 or 15:
                foreach (char one in response.Take(400)) await SendAsync(socket, one.ToString());
                await SendAsync(socket, response[Math.Min(400, response.Length)..]);
                return true;
            case 16:
                await SendAsync(socket, $"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{marker}");
                return true;
            case 17:
                await SendAsync(socket, $"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{marker}\r\nnot a chunk");
                return true;
            case 18 when random.Next(10) == 0: // a response that is late for its push
                await Task.Delay(2500, cancellation);
                await SendAsync(socket, Response(random, "m0-late"));
                return true;
            case 19:
                await SendAsync(socket, response);
                return false;
            case 20: // bytes on a connection that may be idle, or may have its next push: then they are the response to it
                await SendAsync(socket, response);
                await Task.Delay(random.Next(3), cancellation);
                await SendAsync(socket, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                return false;
            case 21: // longer than every buffer
                await SendAsync(socket, string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n{new string('r', 600_000)}"));
                return true;
            case 22:
                await SendAsync(socket, $"HTTP/1.0 200 OK\r\n\r\n{marker}");
                return false;
            case 23:
                await SendAsync(socket, $"HTTP/1.1 200 OK\r\n\r\n{marker}");
                return Reset(socket);
            default:
                await SendAsync(socket, response);
                return true;
        }
    }

    private static string Response(Random random, string marker) => random.Next(4) switch
    {
        0 => $"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{marker.Length:x}\r\n{marker}\r\n0\r\nT: u\r\n\r\n",
        1 => "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        2 => "HTTP/1.1 204 No Content\r\nX-Marker: " + marker + "\r\n\r\n",
        _ => string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Length: {marker.Length}\r\n\r\n{marker}"),
    };

    private static bool Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        return false;
    }
}
