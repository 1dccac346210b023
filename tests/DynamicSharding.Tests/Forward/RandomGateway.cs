using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.Tests.Forward;

/// <summary>A gateway with a fault of its own for about every third push: late, early, broken, endless, doubled or missing responses.</summary>
internal sealed class RandomGateway : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    public RandomGateway()
    {
        _listener.Start();
        Address = _listener.LocalEndpoint.ToString()!;
        _accepting = AcceptAsync();
    }

    public string Address { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> serving = [];
        try
        {
            while (true)
            {
                Socket socket = await _listener.AcceptSocketAsync(_stop.Token);
                serving.RemoveAll(static task => task.IsCompleted);
                serving.Add(ServeAsync(socket));
            }
        }
        finally
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using (socket)
        {
            try
            {
                socket.NoDelay = true;
                var reader = new ContentReader(socket, _stop.Token);
                while (await reader.ReadHeadAsync() is { } head && await RespondAsync(socket, reader, head))
                {
                }
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException or FormatException)
            {
                // The edge has left, or has spoiled a push that its client left.
            }
        }
    }

    /// <returns>Whether the connection stays.</returns>
    private async Task<bool> RespondAsync(Socket socket, ContentReader reader, string head)
    {
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

        if (fault == 4 && random.Next(10) == 0) await Task.Delay(1500, _stop.Token); // stops reading
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
                await Task.Delay(2500, _stop.Token);
                await SendAsync(socket, Response(random, "m0-late"));
                return true;
            case 19:
                await SendAsync(socket, response);
                return false;
            case 20: // bytes on a connection that may be idle, or may have its next push: then they are the response to it
                await SendAsync(socket, response);
                await Task.Delay(random.Next(3), _stop.Token);
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

    private async Task SendAsync(Socket socket, string text)
    {
        ReadOnlyMemory<byte> bytes = Encoding.Latin1.GetBytes(text);
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, _stop.Token)..];
    }

    /// <summary>Heads as text; content is only counted.</summary>
    private sealed class ContentReader(Socket socket, CancellationToken cancellation)
    {
        private readonly byte[] _buffer = new byte[64 * 1024];
        private int _start;
        private int _end;

        public async Task<string?> ReadHeadAsync()
        {
            var head = new StringBuilder();
            while (true)
            {
                if (await ReadByteAsync() is not { } one) return null;
                head.Append((char)one);
                if (one == '\n' && head.Length >= 4 && head[^3] == '\n') return head.ToString();
            }
        }

        public async Task SkipContentAsync(string head)
        {
            const string Length = "\r\nContent-Length: ";
            int at = head.IndexOf(Length, StringComparison.Ordinal);
            if (at >= 0)
            {
                at += Length.Length;
                await SkipAsync(int.Parse(head.AsSpan(at, head.IndexOf('\r', at) - at), CultureInfo.InvariantCulture));
            }
            else if (head.Contains("\r\nTransfer-Encoding: chunked\r\n", StringComparison.Ordinal))
            {
                int length;
                do
                {
                    string line = "";
                    while (!line.EndsWith("\r\n", StringComparison.Ordinal)) line += (char)(await ReadByteAsync() ?? throw new IOException("ended"));
                    length = int.Parse(line.AsSpan(0, line.Length - 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                    await SkipAsync(length + 2);
                }
                while (length > 0);
            }
        }

        private async Task SkipAsync(int length)
        {
            while (length > 0)
            {
                if (_start == _end && !await FillAsync()) throw new IOException("ended");
                int count = Math.Min(length, _end - _start);
                _start += count;
                length -= count;
            }
        }

        private async Task<byte?> ReadByteAsync() => _start == _end && !await FillAsync() ? null : _buffer[_start++];

        private async Task<bool> FillAsync()
        {
            _start = 0;
            _end = await socket.ReceiveAsync(_buffer, cancellation);
            return _end > 0;
        }
    }
}
