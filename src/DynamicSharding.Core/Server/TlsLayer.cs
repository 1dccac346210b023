using System.Net.Security;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>
/// TLS on a loop's socket, with the socket's own contract: receives and sends that never wait. <see cref="SslStream"/> works on a stream over
/// the raw socket; all of its continuations run on the loop's thread, inline with the kernel's events.
/// </summary>
/// <remarks>Whatever a peer makes the library throw, and there is more than it documents, ends its connection and nothing else.</remarks>
#pragma warning disable CA1001 // Close disposes of them.
internal sealed class TlsLayer
#pragma warning restore CA1001
{
    /// <summary>The content of one record. <see cref="SslStream"/> encrypts that much before it waits; of more it would still need the plaintext.</summary>
    private const int RecordLength = 16 * 1024;

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
    private bool _isShut;
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

    /// <summary>Bytes are decrypted, or the end has come, and nothing will make the socket ready for them.</summary>
    public bool HasMore => _hasPlaintext || Failure is not null;

    /// <summary>The failure is one of TLS, or came before the handshake was done; otherwise the socket failed, or the peer went without a word.</summary>
    public bool IsTlsFailure => Failure is not null && _raw.HasReceived && (!IsAuthenticated || _raw.Error == 0);

    /// <summary>The peer closed in order before a byte of it arrived, as checks of load balancers do.</summary>
    public bool IsUnused => !_raw.HasReceived && _raw.Error == 0;

    private int FailureError => _raw.Error != 0 ? _raw.Error : LibC.EPROTO;

    /// <summary>Begins the server's side of a handshake. The socket becomes ready when it is over.</summary>
    public void Accept(SslServerAuthenticationOptions options) => Authenticate(_ssl.AuthenticateAsServerAsync(options));

    /// <summary>Begins the client's side of a handshake. The socket becomes ready when it is over.</summary>
    public void Connect(SslClientAuthenticationOptions options) => Authenticate(_ssl.AuthenticateAsClientAsync(options));

    /// <summary>Fewer bytes than asked for are all that there were: the next make the socket ready.</summary>
    public SocketResult TryReceive(Span<byte> buffer)
    {
        if (Failure is not null) return new SocketResult(0, FailureError);
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

                // The end stays: it is read again after the bytes before it.
                if (length == 0) return new SocketResult(count, 0);
                _hasPlaintext = false;
                plaintext.AsSpan(0, length).CopyTo(buffer[count..]);
                count += length;
            }
        }
        catch (Exception e)
        {
            Fail(e);
        }

        return count > 0 ? new SocketResult(count, 0) : new SocketResult(0, Failure is null ? LibC.EAGAIN : FailureError);
    }

    /// <summary>
    /// Fewer bytes than there are: the socket becomes ready when more can be sent. While the ciphertext of a record waits for room in the socket,
    /// its bytes are not counted yet, and the caller shows the same bytes again, as with <c>SSL_write</c>.
    /// </summary>
    public SocketResult TrySend(ReadOnlySpan<byte> buffer)
    {
        if (Failure is not null) return new SocketResult(0, FailureError);
        if (!IsAuthenticated || _isWriting) return new SocketResult(0, LibC.EAGAIN);
        int sent = 0;
        try
        {
            while (true)
            {
                if (_accepted > 0)
                {
                    _write.GetAwaiter().GetResult();
                    _write = default;
                    sent += _accepted;
                    _accepted = 0;
                }

                if (sent == buffer.Length) return new SocketResult(sent, 0);
                byte[] plaintext = _socket.Loop.TlsBuffer;
                _accepted = Math.Min(buffer.Length - sent, RecordLength);
                buffer.Slice(sent, _accepted).CopyTo(plaintext);
#pragma warning disable CA2012 // Kept until the kernel has room; its result is taken once.
                _write = _ssl.WriteAsync(plaintext.AsMemory(0, _accepted));
#pragma warning restore CA2012
                if (_write.IsCompleted) continue;
                _isWriting = true;
                _write.GetAwaiter().UnsafeOnCompleted(_onWritten);
                return sent > 0 ? new SocketResult(sent, 0) : new SocketResult(0, LibC.EAGAIN);
            }
        }
        catch (Exception e)
        {
            Fail(e);
            return new SocketResult(0, FailureError);
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
        _isShut = true;
        try
        {
            Observe(_ssl.ShutdownAsync());
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    /// <param name="isReset">The close is a reset, and tells the peer by itself.</param>
    public void Close(bool isReset)
    {
        _isClosed = true;
        if (!isReset && !_isShut) ShutdownSend();
        if (Failure is not null) _raw.Discard();
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
#pragma warning disable CA2012 // Kept until there is something; its result is taken once.
        _pump = _ssl.ReadAsync(Memory<byte>.Empty);
#pragma warning restore CA2012
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
        catch (Exception e)
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
        catch (Exception)
        {
            // The connection is closing.
        }
    }

    private void Fail(Exception e)
    {
        if (e is AuthenticationException { InnerException: { } cause }) e = cause;
        Failure ??= e.Message;
    }

    /// <summary>The raw socket as a stream. One read and one write at a time may wait for the kernel.</summary>
    private sealed class RawStream(LoopSocket socket) : Stream
    {
        private const int MaxDiscards = 4;

        private readonly Waiter _read = new();
        private readonly Waiter _write = new();
        private Memory<byte> _target;
        private ReadOnlyMemory<byte> _source;
        private bool _mayBeReadable = true;
        private bool _hasEnd;
        private bool _ended;

        public bool HasReceived { get; private set; }

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
            HasReceived |= count > 0;
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
