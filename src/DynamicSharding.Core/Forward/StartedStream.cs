using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Forward;

/// <summary>Content whose beginning was read already, up to a limit.</summary>
internal sealed class StartedStream(ReadOnlyMemory<byte> start, Stream rest, long limit) : Stream
{
    private ReadOnlyMemory<byte> _start = start;
    private long _left = limit;

    public override bool CanRead => true;

    public override bool CanWrite => false;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Thrown from a read, it aborts the request to the gateway, which then never sees the content's end.</summary>
    public static BadHttpRequestException TooLong() => new("content too long", StatusCodes.Status413PayloadTooLarge);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count;
        if (_start.Length > 0)
        {
            count = Math.Min(_start.Length, buffer.Length);
            _start[..count].CopyTo(buffer);
            _start = _start[count..];
        }
        else
        {
            count = await rest.ReadAsync(buffer, cancellationToken);
        }

        _left -= count;
        return _left >= 0 ? count : throw TooLong();
    }

    // Only asynchronous reads are made; the class demands these.
    public override void Flush() => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
