using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Forward;

/// <summary>
/// Content that is streamed: its beginning, which was read already, and the rest. When the client breaks off or sends too much, the gateway
/// has a part of the push by then, and a Pushgateway takes what it has when that ends with a line (seen with 1.5.1). So it gets something
/// that it cannot take before the request is cut off. The same when nothing comes of it for a while: that time ends a little before the proxy
/// library's own, which would cut the push off as it is.
/// </summary>
internal sealed class PrefixedStream(ReadOnlyMemory<byte> start, Stream rest, long? announced, long limit, AwakeClock clock, TimeSpan timeout) : Stream
{
    /// <summary>More than the client library keeps back in its buffer: what is cut off takes that with it.</summary>
    private const int MaxSpoil = 64 * 1024;

    /// <summary>How much earlier: an eighth of the time, a second at most.</summary>
    private readonly TimeSpan _patience = timeout - TimeSpan.FromTicks(Math.Min(timeout.Ticks / 8, TimeSpan.TicksPerSecond));

    /// <summary>The library's clock runs from here to the first write, and from write to write.</summary>
    private readonly TimeSpan _opened = clock.Now;

    private ReadOnlyMemory<byte> _start = start;
    private long _read;
    private long _spoilLeft;
    private IOException? _failure;
    private volatile bool _isComplete;
    private volatile bool _isWaiting;

    /// <summary>Why the rest of it was not sent: always the client's doing.</summary>
    public IOException? Failure => Volatile.Read(ref _failure);

    /// <summary>The gateway has taken what there was, and the next is the client's to send, in its own time.</summary>
    public bool IsWaiting => _isWaiting;

    /// <summary>All of it was sent as it is.</summary>
    public bool IsComplete => _isComplete;

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
        if (_failure is not null) return Invalidate(buffer.Span);
        int count;
        try
        {
            count = await ReadNextAsync(buffer, cancellationToken);
            if (_read + count > limit) throw TooLong();
        }
        catch (IOException e)
        {
            Volatile.Write(ref _failure, e);
            _spoilLeft = Math.Min(MaxSpoil, (announced ?? long.MaxValue) - _read);
            return Invalidate(buffer.Span);
        }

        _read += count;
        if ((count == 0 && !buffer.IsEmpty) || _read == announced) _isComplete = true;
        return count;
    }

    private async ValueTask<int> ReadNextAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        if (_start.IsEmpty) return await ReadRestAsync(buffer, cancellation);
        int count = Math.Min(_start.Length, buffer.Length);
        _start[..count].CopyTo(buffer);
        _start = _start[count..];
        return count;
    }

    private async ValueTask<int> ReadRestAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        using AwakeClock.VerdictTimeout patience = clock.Wait(_read == 0 ? _patience - (clock.Now - _opened) : _patience);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        _isWaiting = true;
        try
        {
            return await rest.ReadAsync(buffer, either.Token);
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            // Without our time having run out, it is how Kestrel tells of a connection that was aborted.
            throw patience.IsOver
                ? new BadHttpRequestException("content stopped coming", StatusCodes.Status408RequestTimeout, e)
                : new IOException("the client is gone", e);
        }
        finally
        {
            _isWaiting = false;
        }
    }

    /// <summary>No metric's name begins with these, wherever in a text they come; then the failure, or the end that was announced.</summary>
    private int Invalidate(Span<byte> buffer)
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
