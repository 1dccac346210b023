using System.Runtime.CompilerServices;
using System.Text;

namespace DynamicSharding.Http;

/// <summary>
/// Parses one request head (RFC 9112 2 to 6), strictly: rejects whatever two parsers could read differently. Works on one contiguous span that
/// starts with the request, and keeps its place between calls, so that a head that arrives byte by byte is scanned once. Positions are offsets
/// in that span.
/// </summary>
/// <remarks>
/// A mutable struct, reset with <c>= default</c> before the next request. Never throws, whatever the input.
/// </remarks>
internal struct RequestParser
{
    private int _position;
    private int _lineStart;
    private int _fieldsStart;
    private int _fieldCount;
    private bool _hasRequestLine;
    private bool _hasHost;
    private bool _hasContentLength;
    private bool _hasTransferEncoding;
    private ConnectionField _connection;
    private bool _expectContinue;

    public RejectReason Reason { get; private set; }

    public RequestMethod Method { get; private set; }

    /// <summary>HTTP/1.0; anything from 1.1 on is 1.1 (RFC 9110 2.5).</summary>
    public bool IsHttp10 { get; private set; }

    public int TargetStart { get; private set; }

    public int TargetLength { get; private set; }

    public BodyFraming Framing { get; private set; }

    /// <summary>Set with <see cref="BodyFraming.ContentLength"/> only.</summary>
    public long ContentLength { get; private set; }

    /// <summary>Where the field lines begin.</summary>
    public readonly int FieldsStart => _fieldsStart;

    /// <summary>The Connection field names other fields, which must not be forwarded (RFC 9110 7.6.1).</summary>
    public readonly bool NamesFields => _connection.NamesFields;

    /// <summary>There is a Content-Length field, possibly 0.</summary>
    public readonly bool HasContentLength => _hasContentLength;

    /// <summary>Length of the whole head with its empty line, set when done.</summary>
    public int HeadLength { get; private set; }

    /// <summary>The client allows the connection to persist (RFC 9112 9.3).</summary>
    public readonly bool KeepAlive => _connection.Persists(IsHttp10);

    /// <summary>The client waits for a 100 or a final response before it sends the content (RFC 9110 10.1.1; not in HTTP/1.0).</summary>
    public readonly bool ExpectContinue => _expectContinue && !IsHttp10 && Framing != BodyFraming.None;

    /// <summary>True once a byte was seen, even of an empty line before the request: the header timeout starts.</summary>
    public bool HasStarted { get; private set; }

    /// <summary>True while the request line is incomplete, and so the method unknown.</summary>
    public readonly bool InRequestLine => !_hasRequestLine;

    /// <param name="input">All bytes of this request so far.</param>
    public ParseStatus Parse(ReadOnlySpan<byte> input, in ParserLimits limits)
    {
        HasStarted |= !input.IsEmpty;
        if (!_hasRequestLine)
        {
            ParseStatus status = ParseRequestLine(input, limits);
            if (status != ParseStatus.Done) return status;
        }

        return ParseFields(input, limits);
    }

    private ParseStatus ParseRequestLine(ReadOnlySpan<byte> input, in ParserLimits limits)
    {
        // RFC 9112 2.2: empty lines before a request line are ignored. They count against its limit.
        while (_lineStart < input.Length && input[_lineStart] is (byte)'\r' or (byte)'\n')
        {
            if (input[_lineStart] == '\n') return Reject(RejectReason.BadRequestLine);
            if (_lineStart + 1 == input.Length) return NeedMore(_lineStart);
            if (input[_lineStart + 1] != '\n') return Reject(RejectReason.BadRequestLine);
            _lineStart += 2;
            if (_lineStart > limits.RequestLine) return Reject(RejectReason.RequestLineTooLong);
        }

        // Another protocol (TLS, SSH) starts with a byte that no method has: reject it without waiting for the end of a line.
        if (_lineStart < input.Length && !Characters.IsToken(input[_lineStart])) return Reject(RejectReason.NotHttp);

        _position = Math.Max(_position, _lineStart);
        int end = Characters.IndexOfLineEnd(input[_position..]);
        int length = (end < 0 ? input.Length : _position + end) - _lineStart;
        if (length > limits.RequestLine) return Reject(RejectReason.RequestLineTooLong);
        if (end < 0) return NeedMore(input.Length);

        end += _position;
        if (input[end] != '\r') return Reject(RejectReason.BadRequestLine);
        if (end + 1 == input.Length) return NeedMore(end);
        if (input[end + 1] != '\n') return Reject(RejectReason.BadRequestLine);

        RejectReason reason = ReadRequestLine(input[_lineStart..end]);
        if (reason != RejectReason.None) return Reject(reason);
        TargetStart += _lineStart;
        _hasRequestLine = true;
        _position = _lineStart = _fieldsStart = end + 2;
        return ParseStatus.Done;
    }

    /// <summary>method SP request-target SP HTTP-version (RFC 9112 3).</summary>
    private RejectReason ReadRequestLine(ReadOnlySpan<byte> line)
    {
        int methodEnd = Characters.IndexOfTokenEnd(line);
        if (methodEnd < 0) return RejectReason.BadRequestLine;
        if (line[methodEnd] != ' ') return RejectReason.BadMethod;

        ReadOnlySpan<byte> rest = line[(methodEnd + 1)..];
        int targetLength = rest.IndexOfAny(Characters.NotInTargetOfLine);
        if (targetLength < 0) return RejectReason.BadRequestLine; // HTTP/0.9
        if (targetLength == 0 || rest[targetLength] != ' ') return RejectReason.BadTarget;

        ReadOnlySpan<byte> version = rest[(targetLength + 1)..];
        if (version.Length != 8 || !version.StartsWith("HTTP/"u8) || version[6] != '.' || !IsDigit(version[5]) || !IsDigit(version[7]))
        {
            return RejectReason.BadVersion;
        }

        if (version[5] != '1') return RejectReason.UnsupportedVersion;
        IsHttp10 = version[7] == '0';
        Method = ReadMethod(line[..methodEnd]);
        TargetStart = methodEnd + 1;
        TargetLength = targetLength;
        return RejectReason.None;
    }

    private static RequestMethod ReadMethod(ReadOnlySpan<byte> token) => token.Length switch
    {
        3 when token.SequenceEqual("PUT"u8) => RequestMethod.Put,
        3 when token.SequenceEqual("GET"u8) => RequestMethod.Get,
        4 when token.SequenceEqual("POST"u8) => RequestMethod.Post,
        4 when token.SequenceEqual("HEAD"u8) => RequestMethod.Head,
        5 when token.SequenceEqual("PATCH"u8) => RequestMethod.Patch,
        5 when token.SequenceEqual("TRACE"u8) => RequestMethod.Trace,
        6 when token.SequenceEqual("DELETE"u8) => RequestMethod.Delete,
        7 when token.SequenceEqual("OPTIONS"u8) => RequestMethod.Options,
        7 when token.SequenceEqual("CONNECT"u8) => RequestMethod.Connect,
        _ => RequestMethod.Unknown,
    };

    private ParseStatus ParseFields(ReadOnlySpan<byte> input, in ParserLimits limits)
    {
        while (true)
        {
            // The line starts at _lineStart and has been searched up to _position.
            ReadOnlySpan<byte> line = input[_lineStart..];
            if (line.IsEmpty) return NeedMore(_lineStart);
            if (line[0] == '\r')
            {
                if (line.Length == 1) return NeedMore(_lineStart);
                if (line[1] != '\n') return Reject(RejectReason.BadFieldLine);
                return Complete(_lineStart + 2);
            }

            int end = Characters.IndexOfLineEnd(input[_position..]);
            int lineEnd = end < 0 ? input.Length : _position + end;
            if (lineEnd + 2 - _fieldsStart > limits.FieldBytes) return Reject(RejectReason.FieldsTooLarge);
            if (end < 0) return NeedMore(input.Length);
            if (input[lineEnd] != '\r') return Reject(RejectReason.BadFieldValue);
            if (lineEnd + 1 == input.Length) return NeedMore(lineEnd);
            if (input[lineEnd + 1] != '\n') return Reject(RejectReason.BadFieldValue);
            if (++_fieldCount > limits.FieldCount) return Reject(RejectReason.TooManyFields);

            RejectReason reason = ReadField(input[_lineStart..lineEnd], limits.FieldCount);
            if (reason != RejectReason.None) return Reject(reason);
            _position = _lineStart = lineEnd + 2;
        }
    }

    /// <summary>field-name ":" OWS field-value OWS, no whitespace before the colon and no folding (RFC 9112 5).</summary>
    private RejectReason ReadField(ReadOnlySpan<byte> line, int maxOptions)
    {
        RejectReason reason = FieldLine.Read(line, out int nameLength);
        if (reason != RejectReason.None) return reason;

        // Fields of other lengths do not matter here.
        return nameLength switch
        {
            4 or 6 or 10 or 14 or 17 => ReadKnownField(line[..nameLength], FieldLine.Trim(line[(nameLength + 1)..]), maxOptions),
            _ => RejectReason.None,
        };
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private RejectReason ReadKnownField(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int maxOptions)
    {
        switch (name.Length)
        {
            case 4 when Ascii.EqualsIgnoreCase(name, "host"u8):
                if (_hasHost) return RejectReason.DuplicateHost;
                _hasHost = true;
                return HostValue.IsValid(value) ? RejectReason.None : RejectReason.BadHost;

            case 6 when Ascii.EqualsIgnoreCase(name, "expect"u8):
                // Other expectations are ignored, like in nginx, HAProxy and Kestrel; 417 is optional (RFC 9110 10.1.1).
                if (Ascii.EqualsIgnoreCase(value, "100-continue"u8)) _expectContinue = true;
                return RejectReason.None;

            case 10 when Ascii.EqualsIgnoreCase(name, "connection"u8):
                return _connection.TryRead(value, maxOptions) ? RejectReason.None : RejectReason.TooManyFields;

            case 14 when Ascii.EqualsIgnoreCase(name, "content-length"u8):
                return ReadContentLength(value);

            case 17 when Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8):
                // One line with the only supported coding. Parsers disagree about lists and repeated lines.
                if (_hasTransferEncoding || !Ascii.EqualsIgnoreCase(value, "chunked"u8)) return RejectReason.BadTransferEncoding;
                _hasTransferEncoding = true;
                return RejectReason.None;

            default:
                return RejectReason.None;
        }
    }

    /// <summary>1*DIGIT that fits into 63 bits (RFC 9110 8.6). A second line is rejected even if it repeats the first.</summary>
    private RejectReason ReadContentLength(ReadOnlySpan<byte> value)
    {
        if (_hasContentLength) return RejectReason.DuplicateContentLength;
        _hasContentLength = true;
        if (!FieldLine.TryReadLength(value, out long length)) return RejectReason.BadContentLength;
        ContentLength = length;
        return RejectReason.None;
    }

    private ParseStatus Complete(int headLength)
    {
        if (!_hasHost && !IsHttp10) return Reject(RejectReason.MissingHost);
        if (_hasTransferEncoding)
        {
            if (IsHttp10) return Reject(RejectReason.TransferEncodingInHttp10);
            if (_hasContentLength) return Reject(RejectReason.ContentLengthAndTransferEncoding);
            Framing = BodyFraming.Chunked;
        }
        else if (_hasContentLength && ContentLength > 0)
        {
            Framing = BodyFraming.ContentLength;
        }

        HeadLength = headLength;
        return ParseStatus.Done;
    }

    private ParseStatus NeedMore(int searched)
    {
        _position = searched;
        return ParseStatus.NeedMore;
    }

    private ParseStatus Reject(RejectReason reason)
    {
        Reason = reason;
        return ParseStatus.Rejected;
    }

    private static bool IsDigit(byte b) => (uint)(b - '0') <= 9;
}

internal enum ParseStatus : byte
{
    /// <summary>Valid so far, but incomplete.</summary>
    NeedMore,

    Done,

    /// <summary>Invalid; the parser's <c>Reason</c> says why.</summary>
    Rejected,
}

/// <summary>How the length of the content is determined (RFC 9112 6).</summary>
internal enum BodyFraming : byte
{
    None,
    ContentLength,
    Chunked,

    /// <summary>Up to the end of the connection: responses only.</summary>
    UntilClose,
}

/// <summary>The limits of one request head, enforced before more is buffered.</summary>
/// <param name="RequestLine">Bytes without the CRLF; more is 414.</param>
/// <param name="FieldBytes">Bytes of all field lines with their CRLFs; more is 431.</param>
/// <param name="FieldCount">Field lines; more is 431.</param>
internal readonly record struct ParserLimits(int RequestLine, int FieldBytes, int FieldCount);
