namespace DynamicSharding.Forward;

/// <summary>The bytes of one connection to a gateway, above TLS: counts them, and tells the attempt under way what became of it.</summary>
internal sealed class GatewayStream(Stream inner, ForwardCounters counters, Action closed) : Stream
{
    private volatile ForwardAttempt? _attempt;
    private int _closed;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        if (count > 0)
        {
            counters.CountReceived(count);
            _attempt?.Answered();
        }
        else if (!buffer.IsEmpty && _attempt is { HasResponse: false })
        {
            // Told as an end, the client library would send requests without content again by itself, up to three times, on whatever
            // connection comes next. As an error it leaves that to us: once, on a fresh one.
            throw new IOException("the connection was closed before a response");
        }

        return count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (ForwardAttempt.Current is { } attempt)
        {
            ForwardAttempt? last = _attempt;
            _attempt = attempt;
            attempt.Sending(isReused: last is not null && last != attempt);
        }

        counters.CountSent(buffer.Length);
        await inner.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        _attempt?.Moved();
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    // Only asynchronous calls are made; the class demands these.
    public override void Flush() => inner.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private void CountClosed()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0) closed();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            CountClosed();
        }

        base.Dispose(disposing);
    }

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync().ConfigureAwait(false);
        CountClosed();
        await base.DisposeAsync().ConfigureAwait(false);
    }
}
