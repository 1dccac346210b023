using System.Net.Security;
using System.Security.Authentication;

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
    private readonly RawSocketStream _raw;
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
        _raw = new RawSocketStream(socket);
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

    /// <summary>That failure is a header of the PROXY protocol, which nobody expects.</summary>
    public bool IsProxyHeader => IsTlsFailure && _raw.HasProxyHeader;

    /// <summary>The peer closed in order before a byte of it arrived, as checks of load balancers do.</summary>
    public bool IsUnused => !_raw.HasReceived && _raw.Error == 0;

    private int FailureError => _raw.Error != 0 ? _raw.Error : LibC.EPROTO;

    /// <summary>Begins the server's side of a handshake. The socket becomes ready when it is over.</summary>
    public void Accept(SslServerAuthenticationOptions options) => Authenticate(_ssl.AuthenticateAsServerAsync(options));

    /// <summary>Begins the client's side of a handshake. The socket becomes ready when it is over.</summary>
    public void Connect(SslClientAuthenticationOptions options) => Authenticate(_ssl.AuthenticateAsClientAsync(options));

    /// <summary>Neither bytes nor an end have arrived. What has arrived stays.</summary>
    public bool HasNothingToRead()
    {
        if (Failure is not null) return false;
        if (!IsAuthenticated) return true;
        try
        {
            return !TryPump();
        }
        catch (Exception e)
        {
            Fail(e);
            return false;
        }
    }

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
}
