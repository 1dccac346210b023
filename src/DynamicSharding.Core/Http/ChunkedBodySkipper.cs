namespace DynamicSharding.Http;

/// <summary>
/// Skips chunked content (RFC 9112 7.1), strictly: CRLF only, bounded sizes, extensions and trailers, so that no byte of the content can pass
/// for the next request. Keeps its place between calls.
/// </summary>
internal struct ChunkedBodySkipper
{
    /// <summary>A size line with its extensions, and each trailer line: Go's limit for a chunk line.</summary>
    private const int MaxLine = 4096;

    /// <summary>All trailer lines with their CRLFs: Kestrel's default for a field section.</summary>
    private const int MaxTrailers = 32 * 1024;

    private State _state;
    private byte _digits;
    private int _lineBytes;
    private int _trailerBytes;
    private ulong _remaining;

    private enum State : byte
    {
        Size,
        SizeBlank,
        Extension,
        SizeLineFeed,
        Data,
        DataCarriageReturn,
        DataLineFeed,
        TrailerStart,
        TrailerName,
        Trailer,
        TrailerLineFeed,
        LastLineFeed,
    }

    /// <summary>Bytes of the current chunk that are still to come.</summary>
    public readonly long DataAhead => _state == State.Data ? (long)Math.Min(_remaining, long.MaxValue) : 0;

    /// <param name="consumed">How many bytes of the input belong to the content.</param>
    /// <returns><see cref="ParseStatus.Rejected"/> means <see cref="RejectReason.BadChunk"/>: the framing is lost.</returns>
    public ParseStatus Skip(ReadOnlySpan<byte> input, out int consumed)
    {
        int i = 0;
        ParseStatus status;
        do
        {
            status = Next(input[i..], out int taken, out _);
            i += taken;
        }
        while (status == ParseStatus.NeedMore && i < input.Length);

        consumed = i;
        return status;
    }

    /// <summary>The same up to the end of the next piece of data.</summary>
    /// <param name="data">A part of the input; empty when none came before its end.</param>
    public ParseStatus Next(ReadOnlySpan<byte> input, out int consumed, out ReadOnlySpan<byte> data)
    {
        data = default;
        int i = 0;
        while (i < input.Length)
        {
            if (_state == State.Data)
            {
                int take = (int)Math.Min(_remaining, (ulong)(input.Length - i));
                data = input.Slice(i, take);
                _remaining -= (ulong)take;
                consumed = i + take;
                if (_remaining == 0) _state = State.DataCarriageReturn;
                return ParseStatus.NeedMore;
            }

            byte b = input[i++];
            switch (_state)
            {
                case State.Size:
                    if (!TakeSizeByte(b)) return Rejected(i, out consumed);
                    break;
                case State.SizeBlank:
                    if (b == '\r') _state = State.SizeLineFeed;
                    else if (b == ';') _state = State.Extension;
                    else if (b is not ((byte)' ' or (byte)'\t') || ++_lineBytes > MaxLine) return Rejected(i, out consumed);
                    break;
                case State.Extension or State.Trailer:
                    // obs-text is opaque. Parsers disagree about a bare LF, NUL or any other control.
                    if (b == '\r') _state = _state == State.Extension ? State.SizeLineFeed : State.TrailerLineFeed;
                    else if ((b < 0x20 && b != '\t') || b == 0x7f || ++_lineBytes > MaxLine) return Rejected(i, out consumed);
                    else if (_state == State.Trailer && ++_trailerBytes > MaxTrailers) return Rejected(i, out consumed);
                    break;
                case State.SizeLineFeed:
                    if (b != '\n') return Rejected(i, out consumed);
                    _state = _remaining == 0 ? State.TrailerStart : State.Data;
                    _digits = 0;
                    _lineBytes = 0;
                    break;
                case State.DataCarriageReturn:
                    if (b != '\r') return Rejected(i, out consumed);
                    _state = State.DataLineFeed;
                    break;
                case State.DataLineFeed:
                    if (b != '\n') return Rejected(i, out consumed);
                    _state = State.Size;
                    break;
                case State.TrailerStart:
                    if (b == '\r') _state = State.LastLineFeed;
                    else if (!Characters.IsToken(b) || (_trailerBytes += 3) > MaxTrailers) return Rejected(i, out consumed);
                    else _state = State.TrailerName;
                    break;
                case State.TrailerName:
                    if (b == ':') _state = State.Trailer;
                    else if (!Characters.IsToken(b)) return Rejected(i, out consumed);
                    if (++_lineBytes > MaxLine || ++_trailerBytes > MaxTrailers) return Rejected(i, out consumed);
                    break;
                case State.TrailerLineFeed:
                    if (b != '\n') return Rejected(i, out consumed);
                    _state = State.TrailerStart;
                    _lineBytes = 0;
                    break;
                case State.LastLineFeed:
                    consumed = i;
                    return b == '\n' ? ParseStatus.Done : ParseStatus.Rejected;
            }
        }

        consumed = i;
        return ParseStatus.NeedMore;
    }

    /// <summary>1*HEXDIG, at most 16, which fit into 64 bits; then an extension or the end of the line.</summary>
    private bool TakeSizeByte(byte b)
    {
        int digit = Characters.HexValue(b);
        if (digit >= 0)
        {
            if (++_digits > 16) return false;
            _remaining = (_remaining << 4) | (uint)digit;
            return true;
        }

        if (_digits == 0) return false;
        if (b == '\r') _state = State.SizeLineFeed;
        else if (b == ';') _state = State.Extension;
        else if (b is (byte)' ' or (byte)'\t') _state = State.SizeBlank; // BWS before ";" (RFC 9112 7.1.1)
        else return false;
        return true;
    }

    private static ParseStatus Rejected(int at, out int consumed)
    {
        consumed = at;
        return ParseStatus.Rejected;
    }
}
