namespace DynamicSharding.Http;

/// <summary>The content of one request, on its way through a connection (RFC 9112 6). Keeps its place between calls.</summary>
/// <remarks>A mutable struct that lives in its session. <c>default</c> is no content.</remarks>
internal struct RequestBody
{
    private ChunkedBodySkipper _chunks;
    private BodyFraming _framing;

    /// <param name="contentLength">With <see cref="BodyFraming.ContentLength"/>.</param>
    public RequestBody(BodyFraming framing, long contentLength)
    {
        _framing = framing;
        Remaining = contentLength;
    }

    /// <summary>Some of it is still to come.</summary>
    public readonly bool IsPending => _framing != BodyFraming.None;

    /// <summary>Bytes that were announced and have not arrived.</summary>
    public long Remaining { get; private set; }

    /// <summary>Bytes that have arrived, with the framing of chunks.</summary>
    public long Taken { get; private set; }

    /// <summary>How many of the next bytes are known to be content; a request may follow them.</summary>
    public readonly long Ahead => _framing switch
    {
        BodyFraming.None => 0,
        BodyFraming.ContentLength => Remaining,
        _ => _chunks.DataAhead,
    };

    /// <summary>The next piece.</summary>
    /// <param name="data">A part of the input, without the framing.</param>
    public ParseStatus Take(ReadOnlySpan<byte> input, out int consumed, out ReadOnlySpan<byte> data)
    {
        ParseStatus status;
        if (_framing == BodyFraming.Chunked)
        {
            status = _chunks.Next(input, out consumed, out data);
        }
        else
        {
            consumed = (int)Math.Min(Remaining, input.Length);
            data = input[..consumed];
            Remaining -= consumed;
            status = Remaining == 0 ? ParseStatus.Done : ParseStatus.NeedMore;
        }

        return Count(status, consumed);
    }

    /// <summary>As much as there is.</summary>
    public ParseStatus Skip(ReadOnlySpan<byte> input, out int consumed)
    {
        if (_framing == BodyFraming.ContentLength) return Take(input, out consumed, out _);
        ParseStatus status = _chunks.Skip(input, out consumed);
        return Count(status, consumed);
    }

    private ParseStatus Count(ParseStatus status, int consumed)
    {
        Taken += consumed;
        if (status == ParseStatus.Done) _framing = BodyFraming.None;
        return status;
    }
}
