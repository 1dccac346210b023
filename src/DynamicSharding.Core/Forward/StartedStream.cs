using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Forward;

/// <summary>
/// Content that is streamed: its beginning, which was read already, and the rest. When the client breaks off or sends too much, the gateway
/// has a part of the push by then, and a Pushgateway takes what it has when that ends with a line (seen with 1.5.1). So it gets something
/// that it cannot take before the request is cut off.
/// </summary>
internal sealed class StartedStream(ReadOnlyMemory<byte> start, Stream rest, long? announced, long limit) : Stream
{
    /// <summary>More than the client library keeps back in its buffer: what is cut off takes that with it.</summary>
    private const int MaxSpoil = 64 * 1024;

    private ReadOnlyMemory<byte> _start = start;
    private long _read;
    private long _spoilLeft;
    private Exception? _failure;

    public override bool CanRead => true;

    public override bool CanWrite => false;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public static BadHttpRequestException TooLong() => new("content too long", StatusCodes.Status413PayloadTooLarge);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_failure is not null) return Spoil(buffer.Span);
        int count;
        try
        {
            count = await ReadNextAsync(buffer, cancellationToken);
            if (_read + count > limit) throw TooLong();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            _failure = e;
            _spoilLeft = Math.Min(MaxSpoil, (announced ?? long.MaxValue) - _read);
            return Spoil(buffer.Span);
        }

        _read += count;
        return count;
    }

    private async ValueTask<int> ReadNextAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        if (_start.IsEmpty) return await rest.ReadAsync(buffer, cancellation);
        int count = Math.Min(_start.Length, buffer.Length);
        _start[..count].CopyTo(buffer);
        _start = _start[count..];
        return count;
    }

    /// <summary>No metric's name begins with these, wherever in a text they come; then the failure, or the end that was announced.</summary>
    private int Spoil(Span<byte> buffer)
    {
        // A read for nothing asks whether there is anything.
        if (buffer.IsEmpty) return 0;
        int count = (int)Math.Min(_spoilLeft, buffer.Length);
        for (int i = 0; i < count; i++) buffer[i] = "\n\0{"u8[i % 3];
        _spoilLeft -= count;
        _read += count;
        return count > 0 || _read == announced ? count : throw _failure!;
    }

    // Only asynchronous reads are made; the class demands these.
    public override void Flush() => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
