using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.FunctionalTests.Wire;

/// <summary>One connection without an HTTP library: literal bytes in and out. Text is Latin-1, one byte per character.</summary>
internal sealed class RawHttp : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] _buffer = new byte[16 * 1024];
    private readonly StringBuilder _received = new();
    private SslStream? _secure;

    private RawHttp()
    {
    }

    /// <param name="address">Of the server.</param>
    /// <param name="from">An address of this machine to come from; any by default.</param>
    public static async Task<RawHttp> ConnectAsync(string address, IPAddress? from = null)
    {
        RawHttp connection = new();
        try
        {
            if (from is not null) connection._socket.Bind(new IPEndPoint(from, 0));
            await connection._socket.ConnectAsync(IPEndPoint.Parse(address));
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>The same over TLS.</summary>
    /// <param name="options">Of the handshake.</param>
    /// <param name="delivery">Of the bytes on the wire: records of the handshake, too.</param>
    /// <param name="from">An address of this machine to come from; any by default.</param>
    public static async Task<RawHttp> ConnectTlsAsync(
        string address, SslClientAuthenticationOptions options, Delivery delivery = Delivery.Whole, IPAddress? from = null)
    {
        RawHttp connection = await ConnectAsync(address, from);
        try
        {
            NetworkStream stream = new(connection._socket);
            SslStream secure = new(delivery == Delivery.Whole ? stream : new SplitStream(stream));
            await secure.AuthenticateAsClientAsync(options, new CancellationTokenSource(Limit).Token);
            connection._secure = secure;
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Of a connection with TLS.</summary>
    public SslStream Tls => _secure!;

    public async Task SendAsync(string text, Delivery delivery = Delivery.Whole)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        if (delivery == Delivery.Whole)
        {
            await SendAllAsync(bytes);
            return;
        }

        try
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                await SendAllAsync(bytes.AsMemory(i, 1));

                // Lets the server read each byte on its own.
                await Task.Delay(TimeSpan.FromMilliseconds(1));
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // An early rejection may have ended the connection; the response can still be read.
        }
    }

    /// <summary>One complete response, by its own framing.</summary>
    public async Task<string> ReadReplyAsync(bool head = false, TimeSpan? limit = null)
    {
        while (true)
        {
            string text = _received.ToString();
            int end = ReplyEnd(text, head);
            if (end > 0)
            {
                _received.Remove(0, end);
                return text[..end];
            }

            if (!await ReadMoreAsync(limit ?? Limit)) throw new IOException($"closed in the middle of a reply: {text}");
        }
    }

    /// <summary>Everything up to the close by the server.</summary>
    public async Task<string> ReadToCloseAsync(TimeSpan? limit = null)
    {
        while (await ReadMoreAsync(limit ?? Limit))
        {
        }

        return Take();
    }

    /// <summary>
    /// Sends, and reads until the server closes or resets. Reading begins at once, so a response before a reset is not lost, however much is
    /// still to be sent. After <paramref name="quiet"/> without a byte the client half-closes, so that a server that waits for more ends.
    /// </summary>
    public async Task<string> ExchangeToEndAsync(string text, TimeSpan quiet)
    {
        Task sending = SendUntilClosedAsync(text);
        bool halfClosed = false;
        try
        {
            while (true)
            {
                try
                {
                    if (!await ReadMoreAsync(halfClosed ? Limit : quiet)) break;
                }
                catch (TimeoutException) when (!halfClosed)
                {
                    await sending.WaitAsync(Limit);
                    CloseSending();
                    halfClosed = true;
                }
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.NotConnected)
        {
            // What came before the reset counts.
        }

        // Ends a send that the server no longer reads.
        _socket.Dispose();
        await sending;
        return Take();
    }

    /// <summary>Anything unexpected that still arrives; normally empty.</summary>
    public async Task<string> ReadExcessAsync(TimeSpan pause)
    {
        try
        {
            while (await ReadMoreAsync(pause))
            {
            }

            return Take() + "[closed]";
        }
        catch (TimeoutException)
        {
            return Take();
        }
    }

    /// <summary>Half-closes: sends a FIN, and can still read.</summary>
    public void CloseSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Ends the connection with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    public void Dispose()
    {
        _secure?.Dispose();
        _socket.Dispose();
    }

    private string Take()
    {
        string text = _received.ToString();
        _received.Clear();
        return text;
    }

    private async Task SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        if (_secure is not null)
        {
            await _secure.WriteAsync(bytes);
            return;
        }

        while (bytes.Length > 0) bytes = bytes[await _socket.SendAsync(bytes)..];
    }

    private async Task SendUntilClosedAsync(string text)
    {
        try
        {
            await SendAllAsync(Encoding.Latin1.GetBytes(text));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The server has decided before it had everything.
        }
    }

    private async Task<bool> ReadMoreAsync(TimeSpan limit)
    {
        using CancellationTokenSource cancellation = new(limit);
        try
        {
            int count = _secure is null
                ? await _socket.ReceiveAsync(_buffer.AsMemory(), cancellation.Token)
                : await _secure.ReadAsync(_buffer.AsMemory(), cancellation.Token);
            _received.Append(Encoding.Latin1.GetString(_buffer, 0, count));
            return count > 0;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"nothing came for {limit.TotalSeconds:0.#} s after: {_received}");
        }
    }

    private static int ReplyEnd(string text, bool head)
    {
        int body = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        if (body < 4) return 0;
        const string Field = "\r\nContent-Length: ";
        int field = text.IndexOf(Field, 0, body, StringComparison.OrdinalIgnoreCase);
        if (head || field < 0) return body;
        int start = field + Field.Length;
        int end = body + int.Parse(text[start..text.IndexOf('\r', start)], System.Globalization.CultureInfo.InvariantCulture);
        return text.Length >= end ? end : 0;
    }
}
