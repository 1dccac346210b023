using System.Buffers.Text;
using System.Text;

namespace DynamicSharding.Http;

/// <summary>
/// Writes whole responses into one span, mostly from prebuilt bytes. The caller provides the room: at most <see cref="MaxLength"/> per
/// response.
/// </summary>
internal ref struct ResponseWriter(Span<byte> output, ReadOnlySpan<byte> date)
{
    private const string RedirectStart = "HTTP/1.1 307 Temporary Redirect\r\nDate: ";
    private const string RedirectMiddle = "\r\nContent-Length: 0\r\nLocation: ";

    private static readonly byte[] Challenge = Encoding.ASCII.GetBytes($"WWW-Authenticate: {BasicCredentials.Challenge}\r\n");

    private readonly Span<byte> _output = output;
    private readonly ReadOnlySpan<byte> _date = date;

    public int Written { get; private set; }

    /// <summary>The longest response to a target of this length: percent-encoding may triple it in the Location.</summary>
    public static int MaxLength(int targetLength, int locationPrefixLength) => (3 * targetLength) + locationPrefixLength + 512;

    /// <summary>A 307 up to the target, with room for the date: built once per gateway.</summary>
    public static byte[] RedirectHead(string locationPrefix) =>
        Encoding.ASCII.GetBytes(RedirectStart + new string(' ', HttpDate.Length) + RedirectMiddle + locationPrefix);

    /// <param name="head">From <see cref="RedirectHead"/>.</param>
    /// <param name="path">As it appears in the Location: visible ASCII only.</param>
    /// <param name="query">Empty, or from its question mark on; written percent-encoded.</param>
    public void WriteRedirect(ReadOnlySpan<byte> head, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query, ConnectionOption option)
    {
        int start = Written;
        Write(head);
        _date.CopyTo(_output[(start + RedirectStart.Length)..]);
        Write(path);
        if (!query.IsEmpty) WriteEncoded(query);
        Write("\r\n"u8);
        WriteEnd(option);
    }

    /// <summary>200 with text; HEAD gets the same head alone (RFC 9110 9.3.2).</summary>
    public void WriteText(ReadOnlySpan<byte> body1, ReadOnlySpan<byte> body2, ReadOnlySpan<byte> body3, bool isHead, ConnectionOption option)
    {
        Write("HTTP/1.1 200 OK\r\nDate: "u8);
        WriteTextHead(body1.Length + body2.Length + body3.Length);
        WriteEnd(option);
        if (isHead) return;
        Write(body1);
        Write(body2);
        Write(body3);
    }

    /// <param name="allow">The value of Allow for 405; otherwise empty.</param>
    public void WriteReject(RejectReason reason, ReadOnlySpan<byte> allow, bool isHead, ConnectionOption option)
    {
        ReadOnlySpan<byte> body = RejectReasons.Body(reason);
        Write(RejectReasons.Head(reason));
        WriteTextHead(body.Length);
        if (reason is RejectReason.Unauthorized or RejectReason.WrongCredentials) Write(Challenge);
        else if (reason == RejectReason.AuthenticationBusy) Write("Retry-After: 1\r\n"u8);
        if (!allow.IsEmpty)
        {
            Write("Allow: "u8);
            Write(allow);
            Write("\r\n"u8);
        }

        WriteEnd(option);
        if (!isHead) Write(body);
    }

    /// <summary>503 for a health probe.</summary>
    public void WriteUnavailable(ReadOnlySpan<byte> body, bool isHead, ConnectionOption option)
    {
        Write("HTTP/1.1 503 Service Unavailable\r\nDate: "u8);
        WriteTextHead(body.Length);
        WriteEnd(option);
        if (!isHead) Write(body);
    }

    /// <summary>A whole response of a status that no other method has, with a line of text.</summary>
    /// <param name="statusLine"><c>HTTP/1.1 502 Bad Gateway</c></param>
    /// <param name="field">One more field line with its CRLF, or empty.</param>
    public void WriteStatus(ReadOnlySpan<byte> statusLine, ReadOnlySpan<byte> field, scoped ReadOnlySpan<byte> body, ConnectionOption option)
    {
        Write(statusLine);
        Write("\r\nDate: "u8);
        WriteTextHead(body.Length);
        Write(field);
        WriteEnd(option);
        Write(body);
    }

    private void WriteTextHead(int contentLength)
    {
        Write(_date);
        Write("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "u8);
        Utf8Formatter.TryFormat(contentLength, _output[Written..], out int digits);
        Written += digits;
        Write("\r\n"u8);
    }

    public void WriteEnd(ConnectionOption option) => Write(option switch
    {
        ConnectionOption.Close => "Connection: close\r\n\r\n"u8,
        ConnectionOption.KeepAlive => "Connection: keep-alive\r\n\r\n"u8,
        _ => "\r\n"u8,
    });

    private void WriteEncoded(scoped ReadOnlySpan<byte> text)
    {
        if (Ascii.IsValid(text))
        {
            Write(text);
            return;
        }

        foreach (byte b in text) Written += Characters.WriteEncoded(b, _output[Written..]);
    }

    /// <summary>The value of Date.</summary>
    public readonly ReadOnlySpan<byte> Date => _date;

    /// <summary>The rest of the output, for a caller that writes by itself and then calls <see cref="Advance"/>.</summary>
    public readonly Span<byte> Free => _output[Written..];

    /// <param name="count">Bytes that were written into <see cref="Free"/>.</param>
    public void Advance(int count) => Written += count;

    public void Write(scoped ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_output[Written..]);
        Written += bytes.Length;
    }
}

/// <summary>The Connection field of a response.</summary>
internal enum ConnectionOption : byte
{
    /// <summary>No field: HTTP/1.1 persists by default.</summary>
    None,

    Close,

    /// <summary>For an HTTP/1.0 client that asked for it (RFC 9112 9.3).</summary>
    KeepAlive,
}
