using System.Buffers;
using System.Buffers.Text;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Server;
using Microsoft.AspNetCore.WebUtilities;

namespace DynamicSharding.Forward;

/// <summary>
/// One response on its way from a gateway to a client: bytes as they were received become bytes to send. The head is written anew, content in
/// chunks is framed anew, and interim responses end here.
/// </summary>
internal sealed class ResponseRelay(EventLoop loop)
{
    /// <summary>Interim responses before the final one. One is usual; a gateway that sends them without end is at fault.</summary>
    private const int MaxInterim = 16;

    /// <summary><c>ffffff CRLF</c>: a receive has less than 16 MiB.</summary>
    private const int ChunkHead = 8;

    private static readonly ParserLimits Limits = new(RequestLine: 8 * 1024, FieldBytes: 32 * 1024, FieldCount: 128);

    private ResponseParser _parser;
    private ChunkedBodySkipper _chunks;
    private BodyFraming _body;
    private long _remaining;
    private byte[]? _partial;
    private int _partialLength;
    private int _interims;
    private bool _isHttp10;
    private bool _writesChunks;

    /// <summary>A byte of a response has come.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The head is written for the client.</summary>
    public bool HasHead { get; private set; }

    /// <summary>All of it is written for the client.</summary>
    public bool IsComplete { get; private set; }

    public int Status => _parser.Status;

    /// <summary>The gateway's connection may carry another push.</summary>
    public bool KeepsUpstream => _parser.KeepAlive;

    /// <inheritdoc cref="ResponseParser.IdleTimeout"/>
    public int? UpstreamTimeout => _parser.IdleTimeout;

    /// <summary>The client's connection may go on. False before, or because an HTTP/1.0 client knows an end by the connection's only.</summary>
    public bool KeepsClient { get; private set; }

    /// <summary>What is wrong with it, in the words of a log line; null while nothing is.</summary>
    public string? Fault { get; private set; }

    /// <summary>Before the first byte.</summary>
    /// <param name="isHttp10">The client knows no chunks.</param>
    public void Begin(bool isHttp10) => _isHttp10 = isHttp10;

    /// <summary>Puts what was kept of an incomplete head before the room that is received into.</summary>
    /// <returns>Its length.</returns>
    public int Restore(Span<byte> buffer)
    {
        if (_partialLength > 0) _partial.AsSpan(0, _partialLength).CopyTo(buffer);
        return _partialLength;
    }

    /// <summary>Takes bytes of the gateway.</summary>
    /// <param name="bytes">From <see cref="Restore"/>'s beginning on.</param>
    /// <param name="persist">Whether the client's connection may go on as far as it is not the response's to say.</param>
    /// <returns>Bytes behind the response, which are nobody's. With <see cref="Fault"/> set nothing of the result counts.</returns>
    public int Take(ReadOnlySpan<byte> bytes, bool persist, ref ResponseWriter writer)
    {
        HasBegun = true;
        _partialLength = 0;
        bool hadHead = HasHead;
        int before = writer.Written;
        if (!hadHead && !TryTakeHead(ref bytes, persist, ref writer)) return 0;
        int left = RelayContent(bytes, ref writer);
        if (Fault is null) return left;

        // Nothing of these bytes goes to the client: neither an unfinished chunk nor, if it has nothing yet, a response that cannot be completed.
        writer.Advance(before - writer.Written);
        HasHead = hadHead;
        return 0;
    }

    /// <summary>The gateway has closed its side.</summary>
    /// <returns>True when that is how its content ends.</returns>
    public bool TryEnd(ref ResponseWriter writer)
    {
        if (!HasHead || _body != BodyFraming.UntilClose) return false;
        if (_writesChunks) writer.Write("0\r\n\r\n"u8);
        IsComplete = true;
        return true;
    }

    public void Reset()
    {
        if (_partial is not null) loop.ReturnBuffer(_partial);
        _partial = null;
        _partialLength = _interims = 0;
        _parser = default;
        _chunks = default;
        Fault = null;
        HasBegun = HasHead = IsComplete = KeepsClient = _writesChunks = _isHttp10 = false;
    }

    private bool TryTakeHead(ref ReadOnlySpan<byte> bytes, bool persist, ref ResponseWriter writer)
    {
        while (true)
        {
            ParseStatus status = _parser.Parse(bytes, Limits);
            if (status == ParseStatus.NeedMore)
            {
                Keep(bytes);
                return false;
            }

            if (status == ParseStatus.Rejected)
            {
                Fault = FaultText();
                return false;
            }

            if (!_parser.IsInterim) break;
            if (++_interims > MaxInterim)
            {
                Fault = "too many interim responses";
                return false;
            }

            bytes = bytes[_parser.HeadLength..];
            _parser = default;
        }

        _body = _parser.Framing;
        _remaining = _parser.ContentLength;
        WriteHead(bytes[.._parser.HeadLength], persist, ref writer);
        bytes = bytes[_parser.HeadLength..];
        HasHead = true;
        return true;
    }

    private void WriteHead(ReadOnlySpan<byte> head, bool persist, ref ResponseWriter writer)
    {
        bool hasUnknownLength = _body is BodyFraming.Chunked or BodyFraming.UntilClose;
        _writesChunks = hasUnknownLength && !_isHttp10;
        KeepsClient = persist && (!hasUnknownLength || _writesChunks);
        writer.Write("HTTP/1.1 "u8);
        WriteNumber(_parser.Status, ref writer);
        writer.Write(" "u8);
        ReadOnlySpan<byte> reason = head.Slice(_parser.ReasonStart, _parser.ReasonLength);
        if (reason.IndexOfAnyExceptInRange((byte)' ', (byte)'~') < 0) writer.Write(reason);
        else writer.Write(Encoding.ASCII.GetBytes(ReasonPhrases.GetReasonPhrase(_parser.Status)));
        writer.Write("\r\n"u8);
        if (_writesChunks)
        {
            writer.Write("Transfer-Encoding: chunked\r\n"u8);
        }
        else if (!hasUnknownLength && _parser.Status is not (204 or 304))
        {
            writer.Write("Content-Length: "u8);
            WriteNumber(_parser.ContentLength, ref writer);
            writer.Write("\r\n"u8);
        }

        if (!_parser.HasDate)
        {
            writer.Write("Date: "u8);
            writer.Write(writer.Date);
            writer.Write("\r\n"u8);
        }

        writer.Advance(RelayedHead.Copy(head[_parser.FieldsStart..], _parser.NamesFields, RelayDirection.Response, writer.Free));
        writer.WriteEnd(!KeepsClient ? ConnectionOption.Close : _isHttp10 ? ConnectionOption.KeepAlive : ConnectionOption.None);
    }

    private int RelayContent(ReadOnlySpan<byte> bytes, ref ResponseWriter writer)
    {
        IsComplete = _body == BodyFraming.None;
        Span<byte> chunk = writer.Free;
        int chunkAt = writer.Written;
        if (_writesChunks) writer.Advance(ChunkHead);
        while (!IsComplete && !bytes.IsEmpty)
        {
            int taken = bytes.Length;
            ReadOnlySpan<byte> data = bytes;
            if (_body == BodyFraming.Chunked)
            {
                ParseStatus status = _chunks.Next(bytes, out taken, out data);
                if (status == ParseStatus.Rejected)
                {
                    Fault = "a malformed chunk";
                    return 0;
                }

                IsComplete = status == ParseStatus.Done;
            }
            else if (_body == BodyFraming.ContentLength)
            {
                taken = (int)Math.Min(_remaining, bytes.Length);
                data = bytes[..taken];
                _remaining -= taken;
                IsComplete = _remaining == 0;
            }

            writer.Write(data);
            bytes = bytes[taken..];
        }

        if (_writesChunks) EndChunk(chunk, writer.Written - chunkAt - ChunkHead, ref writer);
        return bytes.Length;
    }

    /// <summary>The size goes into the room that was left before the data.</summary>
    private void EndChunk(Span<byte> chunk, int length, ref ResponseWriter writer)
    {
        if (length == 0)
        {
            writer.Advance(-ChunkHead);
        }
        else
        {
            Utf8Formatter.TryFormat(length, chunk, out _, new StandardFormat('x', 6));
            "\r\n"u8.CopyTo(chunk[6..]);
            writer.Write("\r\n"u8);
        }

        if (IsComplete) writer.Write("0\r\n\r\n"u8);
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (_partial is null || _partial.Length < bytes.Length)
        {
            if (_partial is not null) loop.ReturnBuffer(_partial);
            _partial = loop.RentBuffer(Math.Max(bytes.Length, 1024));
        }

        bytes.CopyTo(_partial);
        _partialLength = bytes.Length;
    }

    private string FaultText() => _parser.Fault switch
    {
        ResponseFault.BadStatusLine => "a malformed status line",
        ResponseFault.UnsupportedVersion => "another version of HTTP than 1",
        ResponseFault.BadStatus => $"its status is {_parser.Status}",
        ResponseFault.BadField => "a malformed field",
        ResponseFault.HeadTooLarge => "its head is too large",
        ResponseFault.BadFraming => "a malformed Content-Length or Transfer-Encoding, or both",
        _ => $"a {_parser.Status} with content",
    };

    private static void WriteNumber(long number, ref ResponseWriter writer)
    {
        Utf8Formatter.TryFormat(number, writer.Free, out int digits);
        writer.Advance(digits);
    }
}
