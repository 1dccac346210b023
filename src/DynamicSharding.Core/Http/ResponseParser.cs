namespace DynamicSharding.Http;

/// <summary>
/// Parses one response head (RFC 9112 4 to 6) as strictly as <see cref="RequestParser"/> does a request: a response that two parties could
/// read differently is refused, so that no byte of it can become part of another one. Works on one contiguous span that starts where
/// the response starts; keeps its place between calls. Positions and lengths refer to that span.
/// </summary>
/// <remarks>
/// There is no mode for responses to HEAD: the edge responds to that method itself and never forwards it.
/// A mutable struct that lives in its connection. Reset with <c>= default</c> before the next response. Never throws for any input.
/// </remarks>
internal struct ResponseParser
{
    private int _position;
    private int _lineStart;
    private int _fieldCount;
    private bool _hasStatusLine;
    private bool _hasContentLength;
    private bool _hasTransferEncoding;
    private ConnectionField _connection;
    private KeepAliveField _keepAlive;
    private bool _endsConnection;

    public ResponseFault Fault { get; private set; }

    /// <summary>100 to 599.</summary>
    public int Status { get; private set; }

    /// <summary>HTTP/1.0; anything from 1.1 on is 1.1 (RFC 9110 2.5).</summary>
    public bool IsHttp10 { get; private set; }

    /// <summary>The reason phrase, which may be empty.</summary>
    public int ReasonStart { get; private set; }

    public int ReasonLength { get; private set; }

    /// <summary>Where the field lines begin.</summary>
    public int FieldsStart { get; private set; }

    /// <summary>Length of the head with its empty line; set when done.</summary>
    public int HeadLength { get; private set; }

    public BodyFraming Framing { get; private set; }

    /// <summary>Bytes; with <see cref="BodyFraming.ContentLength"/> only.</summary>
    public long ContentLength { get; private set; }

    /// <summary>There is a Date field.</summary>
    public bool HasDate { get; private set; }

    /// <summary>The Connection field names other fields, which are not passed on (RFC 9110 7.6.1).</summary>
    public readonly bool NamesFields => _connection.NamesFields;

    /// <summary>A response that is not the last one to its request (RFC 9110 15.2).</summary>
    public readonly bool IsInterim => Status < 200;

    /// <summary>The gateway lets the connection persist (RFC 9112 9.3), and the end of the content does not end the connection.</summary>
    public readonly bool KeepAlive =>
        _connection.Persists(IsHttp10) && !_keepAlive.EndsConnection && !_endsConnection && Framing != BodyFraming.UntilClose;

    /// <summary>Seconds that the gateway keeps the connection without a request; null when the response does not say.</summary>
    public readonly int? IdleTimeout => _keepAlive.Timeout;

    /// <param name="input">Everything received of this response so far.</param>
    public ParseStatus Parse(ReadOnlySpan<byte> input, in ParserLimits limits)
    {
        if (!_hasStatusLine)
        {
            ParseStatus status = ParseStatusLine(input, limits);
            if (status != ParseStatus.Done) return status;
        }

        return ParseFields(input, limits);
    }

    private ParseStatus ParseStatusLine(ReadOnlySpan<byte> input, in ParserLimits limits)
    {
        // Another protocol shows in its first bytes: no need to wait for the end of a line that may never come.
        ReadOnlySpan<byte> start = "HTTP/1."u8;
        int known = Math.Min(input.Length, start.Length);
        if (!input[..known].SequenceEqual(start[..known]))
        {
            bool isHttp = input.Length < 5 || input.StartsWith("HTTP/"u8);
            return Reject(isHttp && known >= 5 ? ResponseFault.UnsupportedVersion : ResponseFault.BadStatusLine);
        }

        int end = Characters.IndexOfLineEnd(input[_position..]);
        int length = end < 0 ? input.Length : _position + end;
        if (length > limits.RequestLine) return Reject(ResponseFault.HeadTooLarge);
        if (end < 0) return NeedMore(input.Length);
        end += _position;
        if (input[end] != '\r') return Reject(ResponseFault.BadStatusLine);
        if (end + 1 == input.Length) return NeedMore(end);
        if (input[end + 1] != '\n' || !ReadStatusLine(input[..end])) return Reject(ResponseFault.BadStatusLine);
        if (Status is < 100 or > 599) return Reject(ResponseFault.BadStatus);
        _hasStatusLine = true;
        _position = _lineStart = FieldsStart = end + 2;
        return ParseStatus.Done;
    }

    /// <summary>HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 4). The second space is missing in the wild where the phrase is.</summary>
    private bool ReadStatusLine(ReadOnlySpan<byte> line)
    {
        const int StatusStart = 9;
        const int StatusEnd = StatusStart + 3;
        if (line.Length < StatusEnd || line[StatusStart - 1] != ' ' || !IsDigit(line[7])) return false;
        int status = 0;
        foreach (byte b in line[StatusStart..StatusEnd])
        {
            if (!IsDigit(b)) return false;
            status = (status * 10) + (b - '0');
        }

        if (line.Length > StatusEnd && line[StatusEnd] != ' ') return false;
        IsHttp10 = line[7] == '0';
        Status = status;
        ReasonStart = Math.Min(StatusEnd + 1, line.Length);
        ReasonLength = line.Length - ReasonStart;
        return true;
    }

    private ParseStatus ParseFields(ReadOnlySpan<byte> input, in ParserLimits limits)
    {
        while (true)
        {
            // Every line starts at _lineStart; _position is how far its value has been searched.
            ReadOnlySpan<byte> line = input[_lineStart..];
            if (line.IsEmpty) return NeedMore(_lineStart);
            if (line[0] == '\r')
            {
                if (line.Length == 1) return NeedMore(_lineStart);
                return line[1] == '\n' ? Complete(_lineStart + 2) : Reject(ResponseFault.BadField);
            }

            int end = Characters.IndexOfLineEnd(input[_position..]);
            int lineEnd = end < 0 ? input.Length : _position + end;
            if (lineEnd + 2 - FieldsStart > limits.FieldBytes) return Reject(ResponseFault.HeadTooLarge);
            if (end < 0) return NeedMore(input.Length);
            if (input[lineEnd] != '\r') return Reject(ResponseFault.BadField);
            if (lineEnd + 1 == input.Length) return NeedMore(lineEnd);
            if (input[lineEnd + 1] != '\n') return Reject(ResponseFault.BadField);
            if (++_fieldCount > limits.FieldCount) return Reject(ResponseFault.HeadTooLarge);

            line = input[_lineStart..lineEnd];
            if (FieldLine.Read(line, out int nameLength) != RejectReason.None) return Reject(ResponseFault.BadField);
            ResponseFault fault = ReadKnownField(line[..nameLength], FieldLine.Trim(line[(nameLength + 1)..]), limits.FieldCount);
            if (fault != ResponseFault.None) return Reject(fault);
            _position = _lineStart = lineEnd + 2;
        }
    }

    private ResponseFault ReadKnownField(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int maxOptions)
    {
        switch (name.Length)
        {
            case 4 when FieldLine.Is(name, "date"u8):
                HasDate = true;
                return ResponseFault.None;

            case 10 when FieldLine.Is(name, "connection"u8):
                return _connection.TryRead(value, maxOptions) ? ResponseFault.None : ResponseFault.HeadTooLarge;

            case 10 when FieldLine.Is(name, "keep-alive"u8):
                _keepAlive.Read(value);
                return ResponseFault.None;

            case 14 when FieldLine.Is(name, "content-length"u8):
                // A second line is refused even when it repeats the first.
                if (_hasContentLength || !FieldLine.TryReadLength(value, out long length)) return ResponseFault.BadFraming;
                _hasContentLength = true;
                ContentLength = length;
                return ResponseFault.None;

            case 17 when FieldLine.Is(name, "transfer-encoding"u8):
                // The one coding that can be framed, on one line; a list or a second line is where parsers disagree.
                if (_hasTransferEncoding || !FieldLine.Is(value, "chunked"u8)) return ResponseFault.BadFraming;
                _hasTransferEncoding = true;
                return ResponseFault.None;

            default:
                return ResponseFault.None;
        }
    }

    /// <summary>The length of the content (RFC 9112 6.3).</summary>
    private ParseStatus Complete(int headLength)
    {
        if (_hasTransferEncoding && (_hasContentLength || IsHttp10)) return Reject(ResponseFault.BadFraming);

        // An upgrade was not asked for; what follows would be another protocol.
        if (Status == 101) return Reject(ResponseFault.BadStatus);
        if (IsInterim || Status is 204 or 205 or 304)
        {
            // A length of what would have been sent is allowed with 304 alone (RFC 9110 8.6), and content with none of them.
            if (_hasTransferEncoding || (ContentLength > 0 && Status != 304)) return Reject(ResponseFault.ForbiddenContent);
            ContentLength = 0;

            // Without a length a 205 may have content by its framing, and only the end of the connection would tell.
            _endsConnection = Status == 205 && !_hasContentLength;
        }
        else if (_hasTransferEncoding)
        {
            Framing = BodyFraming.Chunked;
        }
        else if (!_hasContentLength)
        {
            Framing = BodyFraming.UntilClose;
        }
        else if (ContentLength > 0)
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

    private ParseStatus Reject(ResponseFault fault)
    {
        Fault = fault;
        return ParseStatus.Rejected;
    }

    private static bool IsDigit(byte b) => (uint)(b - '0') <= 9;
}

/// <summary>
/// What the Keep-Alive field lines of a response say (RFC 2068 19.7.1.1, draft-thomson-hybi-http-timeout-03): <c>timeout=5, max=99</c>. They can
/// only shorten the life of a connection, so they count without the Connection option that belongs to them. Of several values the least counts,
/// of malformed ones none.
/// </summary>
internal struct KeepAliveField
{
    /// <summary>Seconds.</summary>
    public int? Timeout { get; private set; }

    /// <summary>The gateway waits for no further request, or takes none.</summary>
    public bool EndsConnection { get; private set; }

    /// <summary>One line: a list of parameters.</summary>
    public void Read(ReadOnlySpan<byte> value)
    {
        while (!value.IsEmpty)
        {
            // Also at a comma within a quoted string, which neither of these has; at worst a connection is closed early.
            ReadOnlySpan<byte> parameter = FieldLine.TakeListElement(ref value);
            int equals = parameter.IndexOf((byte)'=');
            if (equals < 0) continue;
            ReadOnlySpan<byte> name = FieldLine.Trim(parameter[..equals]);
            bool isTimeout = FieldLine.Is(name, "timeout"u8);

            // How many requests are left matters when there is none: every response says it anew.
            if ((!isTimeout && !FieldLine.Is(name, "max"u8)) || !TryReadNumber(FieldLine.Trim(parameter[(equals + 1)..]), out int number)) continue;
            if (isTimeout) Timeout = Math.Min(Timeout ?? number, number);
            EndsConnection |= number == 0;
        }
    }

    /// <summary>1*DIGIT. What is too large is as good as the largest number.</summary>
    private static bool TryReadNumber(ReadOnlySpan<byte> digits, out int number)
    {
        number = 0;
        foreach (byte b in digits)
        {
            uint digit = (uint)(b - '0');
            if (digit > 9) return false;
            number = (int)Math.Min((number * 10L) + digit, int.MaxValue);
        }

        return !digits.IsEmpty;
    }
}

/// <summary>What is wrong with a response: the client gets a 502 that says so.</summary>
internal enum ResponseFault : byte
{
    None,
    BadStatusLine,
    UnsupportedVersion,

    /// <summary>Outside 100 to 599, or 101.</summary>
    BadStatus,
    BadField,
    HeadTooLarge,

    /// <summary>A malformed, repeated or contradicting Content-Length or Transfer-Encoding.</summary>
    BadFraming,

    /// <summary>A 1xx, 204, 205 or 304 with content.</summary>
    ForbiddenContent,
}
