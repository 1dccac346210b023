using System.Net.Security;
using System.Security.Authentication;
using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>
/// TLS on a loop's socket, with the socket's own contract: receives and sends that never wait. <see cref="SslStream"/> works on a stream over
/// the raw socket; all of its continuations run on the loop's thread, inline with the kernel's events.
/// </summary>
internal sealed class TlsLayer
{
    private readonly LoopSocket _socket;
    private readonly RawStream _raw;
    private readonly SslStream _ssl;
    private readonly Action _onPumped;
    private readonly Action _onWritten;
    private ValueTask<int> _pump;
    private ValueTask _write;
    private int _accepted;
    private bool _isPumping;
    private bool _isWriting;
    private bool _hasPlaintext;
    private bool _isClosed;

    public TlsLayer(LoopSocket socket)
    {
        _socket = socket;
        _raw = new RawStream(socket);
        _ssl = new SslStream(_raw);
        _onPumped = OnPumped;
        _onWritten = OnWritten;
    }

    /// <summary>The handshake is done.</summary>
    public bool IsAuthenticated { get; private set; }

    /// <summary>Why the connection is of no use; null while it is.</summary>
    public string? Failure { get; private set; }

    /// <summary>Begins the server's side of a handshake. The socket becomes ready when it is over.</summary>
    public void Accept(SslServerAuthenticationOptions options) => Authenticate(_ssl.AuthenticateAsServerAsync(options));

    /// <summary>Begins the client's side of a handshake. The socket becomes ready when it is over.</summary>
    public void Connect(SslClientAuthenticationOptions options) => Authenticate(_ssl.AuthenticateAsClientAsync(options));

    /// <summary>Fewer bytes than asked for are all that there were: the next make the socket ready.</summary>
    public SocketResult TryReceive(Span<byte> buffer)
    {
        if (Failure is not null) return new SocketResult(0, LibC.EPROTO);
        if (!IsAuthenticated) return new SocketResult(0, LibC.EAGAIN);
        int count = 0;
        try
        {
            while (count < buffer.Length && TryPump())
            {
                byte[] plaintext = _socket.Loop.TlsBuffer;
                ValueTask<int> read = _ssl.ReadAsync(plaintext.AsMemory(0, Math.Min(plaintext.Length, buffer.Length - count)));

                // What is decrypted needs no wait.
                int length = read.IsCompleted ? read.GetAwaiter().GetResult() : throw new InvalidOperationException("decrypted bytes were not there");
                _hasPlaintext = false;
                if (length == 0) return count > 0 ? new SocketResult(count, 0) : default;
                plaintext.AsSpan(0, length).CopyTo(buffer[count..]);
                count += length;
            }
        }
        catch (Exception e) when (IsFailure(e))
        {
            Fail(e);
        }

        return count > 0 ? new SocketResult(count, 0) : new SocketResult(0, Failure is null ? LibC.EAGAIN : LibC.EPROTO);
    }

    /// <summary>
    /// All of the bytes or none: while their ciphertext waits for room in the socket, the caller shows the same bytes again, as with
    /// <c>SSL_write</c>.
    /// </summary>
    public SocketResult TrySend(ReadOnlySpan<byte> buffer)
    {
        if (Failure is not null) return new SocketResult(0, LibC.EPROTO);
        if (!IsAuthenticated || _isWriting) return new SocketResult(0, LibC.EAGAIN);
        try
        {
            if (_accepted == 0)
            {
                byte[] plaintext = _socket.Loop.TlsBuffer;
                _accepted = Math.Min(buffer.Length, plaintext.Length);
                buffer[.._accepted].CopyTo(plaintext);

                // Encrypted before it returns: the buffer is free again, only ciphertext may wait.
                _write = _ssl.WriteAsync(plaintext.AsMemory(0, _accepted));
                if (!_write.IsCompleted)
                {
                    _isWriting = true;
                    _write.GetAwaiter().UnsafeOnCompleted(_onWritten);
                    return new SocketResult(0, LibC.EAGAIN);
                }
            }

            _write.GetAwaiter().GetResult();
            _write = default;
            int sent = _accepted;
            _accepted = 0;
            return new SocketResult(sent, 0);
        }
        catch (Exception e) when (IsFailure(e))
        {
            Fail(e);
            return new SocketResult(0, LibC.EPROTO);
        }
    }

    /// <summary>What the kernel reports of the raw socket.</summary>
    public void OnReady(uint events)
    {
        // With no read under way nobody else would hear of it.
        bool tells = IsAuthenticated && !_isPumping && (events & ~LibC.EPOLLOUT) != 0;
        _raw.OnReady(events);
        if (tells && !_isClosed) _socket.OnLayerReady(LibC.EPOLLIN);
    }

    /// <summary>Tells the peer that nothing more comes (RFC 8446 6.1). Best effort: the connection ends soon.</summary>
    public void ShutdownSend()
    {
        if (!IsAuthenticated || Failure is not null || _isWriting) return;
        try
        {
            Observe(_ssl.ShutdownAsync());
        }
        catch (Exception e) when (IsFailure(e))
        {
            Fail(e);
        }
    }

    public void Close()
    {
        _isClosed = true;
        _raw.End();
        _ssl.Dispose();
    }

    private async void Authenticate(Task handshake)
    {
        try
        {
            await handshake.ConfigureAwait(false);
            IsAuthenticated = true;
        }
        catch (Exception e)
        {
            // Whatever a peer makes the library throw ends its connection, never the process.
            Fail(e);
        }

        if (!_isClosed) _socket.OnLayerReady(LibC.EPOLLIN | LibC.EPOLLOUT);
    }

    /// <returns>True when there is plaintext, or the end of it. Otherwise the socket becomes ready when there is.</returns>
    private bool TryPump()
    {
        if (_hasPlaintext) return true;
        if (_isPumping) return false;

        // A read of nothing decrypts what there is, and holds no buffer while there is nothing.
        _pump = _ssl.ReadAsync(Memory<byte>.Empty);
        if (!_pump.IsCompleted)
        {
            _isPumping = true;
            _pump.GetAwaiter().UnsafeOnCompleted(_onPumped);
            return false;
        }

        _ = _pump.GetAwaiter().GetResult();
        return _hasPlaintext = true;
    }

    private void OnPumped()
    {
        _isPumping = false;
        try
        {
            _ = _pump.GetAwaiter().GetResult();
            _hasPlaintext = true;
        }
        catch (Exception e) when (IsFailure(e))
        {
            Fail(e);
        }

        if (!_isClosed) _socket.OnLayerReady(LibC.EPOLLIN);
    }

    private void OnWritten()
    {
        _isWriting = false;
        if (!_isClosed) _socket.OnLayerReady(LibC.EPOLLOUT);
    }

    private static async void Observe(Task task)
    {
        try
        {
            await task.ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e))
        {
            // The connection is closing.
        }
    }

    private void Fail(Exception e)
    {
        if (e is AuthenticationException { InnerException: { } cause }) e = cause;
        Failure ??= e.Message;
    }

    private static bool IsFailure(Exception e) => e is IOException or AuthenticationException or ObjectDisposedException or InvalidOperationException;

    /// <summary>The raw socket as a stream. One read and one write at a time may wait for the kernel.</summary>
    private sealed class RawStream(LoopSocket socket) : Stream
    {
        private readonly Waiter _read = new();
        private readonly Waiter _write = new();
        private Memory<byte> _target;
        private ReadOnlyMemory<byte> _source;
        private bool _mayBeReadable = true;
        private bool _ended;

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
                if (_read.IsWaiting) CompleteRead();
            }

            if (_write.IsWaiting && (events & (LibC.EPOLLOUT | LibC.EPOLLERR | LibC.EPOLLHUP)) != 0) CompleteWrite();
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
            if (received.WouldBlock || (received.Count > 0 && received.Count < buffer.Length)) _mayBeReadable = false;
            if (received.WouldBlock) return false;
            if (received.Failed) throw new IOException(System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(received.Error));
            count = received.Count;
            return true;
        }

        private bool TryWrite()
        {
            while (!_source.IsEmpty)
            {
                // The socket may be another client's by now.
                if (_ended) throw new IOException("the connection was closed");
                SocketResult sent = socket.TrySendRaw(_source.Span);
                if (sent.WouldBlock) return false;
                if (sent.Failed) throw new IOException(System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(sent.Error));
                _source = _source[sent.Count..];
            }

            return true;
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

    private sealed class Waiter : IValueTaskSource<int>, IValueTaskSource
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
}
