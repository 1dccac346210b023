using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>The raw socket as a stream. One read and one write at a time may wait for the kernel.</summary>
internal sealed class RawSocketStream(LoopSocket socket) : Stream
{
    private const int MaxDiscards = 4;

    private readonly StreamWaiter _read = new();
    private readonly StreamWaiter _write = new();
    private Memory<byte> _target;
    private ReadOnlyMemory<byte> _source;
    private bool _mayBeReadable = true;
    private bool _hasEnd;
    private bool _ended;

    public bool HasReceived { get; private set; }

    /// <summary>The first bytes are a header of the PROXY protocol.</summary>
    public bool HasProxyHeader { get; private set; }

    /// <summary>The errno with which the socket failed; 0 while it has not.</summary>
    public int Error { get; private set; }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (TryRead(buffer, out int count)) return new ValueTask<int>(count);
        _target = buffer;
        return _read.Begin();
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _source = buffer;
        return TryWrite() ? default : _write.BeginWithoutResult();
    }

    public void OnReady(uint events)
    {
        if ((events & ~LibC.EPOLLOUT) != 0)
        {
            _mayBeReadable = true;
            _hasEnd |= (events & (LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0;
            if (_read.IsWaiting) CompleteRead();
        }

        if (_write.IsWaiting && (events & (LibC.EPOLLOUT | LibC.EPOLLERR | LibC.EPOLLHUP)) != 0) CompleteWrite();
    }

    /// <summary>Of a peer that was told why it is refused: closing with unread bytes would reset the connection, and destroy that.</summary>
    public void Discard()
    {
        if (_ended) return;
        socket.ShutdownSendRaw();
        for (int i = 0; i < MaxDiscards && socket.TryReceiveRaw(socket.Loop.TlsBuffer).Count > 0; i++)
        {
        }
    }

    public void End()
    {
        _ended = true;
        if (_read.IsWaiting) _read.Fail(new IOException("the connection was closed"));
        if (_write.IsWaiting) _write.Fail(new IOException("the connection was closed"));
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    // SslStream calls the asynchronous methods; the class demands these.
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>A read of nothing is done when there may be something.</summary>
    private bool TryRead(Memory<byte> buffer, out int count)
    {
        count = 0;
        if (_ended) return true;
        if (!_mayBeReadable) return false;
        if (buffer.IsEmpty) return true;
        SocketResult received = socket.TryReceiveRaw(buffer.Span);

        // An end that was reported together with the bytes before it is not reported again.
        if (received.WouldBlock || (received.Count > 0 && received.Count < buffer.Length && !_hasEnd)) _mayBeReadable = false;
        if (received.WouldBlock) return false;
        if (received.Failed) throw Failed(received.Error);
        count = received.Count;
        if (!HasReceived && count > 0) OnFirst(buffer.Span[..count]);
        return true;
    }

    private void OnFirst(ReadOnlySpan<byte> received)
    {
        HasReceived = true;
        HasProxyHeader = ProxyHeader.IsLikely(received);
    }

    private bool TryWrite()
    {
        while (!_source.IsEmpty)
        {
            // The socket may be another client's by now.
            if (_ended) throw new IOException("the connection was closed");
            SocketResult sent = socket.TrySendRaw(_source.Span);
            if (sent.WouldBlock) return false;
            if (sent.Failed) throw Failed(sent.Error);
            _source = _source[sent.Count..];
        }

        return true;
    }

    private IOException Failed(int error)
    {
        Error = error;
        return new IOException(Marshal.GetPInvokeErrorMessage(error));
    }

    private void CompleteRead()
    {
        try
        {
            if (TryRead(_target, out int count)) _read.Complete(count);
        }
        catch (IOException e)
        {
            _read.Fail(e);
        }
    }

    private void CompleteWrite()
    {
        try
        {
            if (TryWrite()) _write.Complete(0);
        }
        catch (IOException e)
        {
            _write.Fail(e);
        }
    }
}

internal sealed class StreamWaiter : IValueTaskSource<int>, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<int> _core;

    public bool IsWaiting { get; private set; }

    public ValueTask<int> Begin()
    {
        _core.Reset();
        IsWaiting = true;
        return new ValueTask<int>(this, _core.Version);
    }

    public ValueTask BeginWithoutResult()
    {
        _core.Reset();
        IsWaiting = true;
        return new ValueTask(this, _core.Version);
    }

    public void Complete(int count)
    {
        IsWaiting = false;
        _core.SetResult(count);
    }

    public void Fail(Exception error)
    {
        IsWaiting = false;
        _core.SetException(error);
    }

    int IValueTaskSource<int>.GetResult(short token) => _core.GetResult(token);

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
