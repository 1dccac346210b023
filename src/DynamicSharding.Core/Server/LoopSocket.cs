using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>
/// A non-blocking socket that belongs to one event loop: reads and writes that never wait, and one awaitable readiness at a time.
/// Everything happens on the loop's thread; continuations run inline on it.
/// </summary>
internal sealed unsafe class LoopSocket(EventLoop loop, int fd) : IValueTaskSource<bool>
{
    /// <summary>
    /// Edge-triggered: a level-triggered descriptor stays on the kernel's ready list and is polled once more for every event. RDHUP tells
    /// an end of input that came together with data and is no edge of its own.
    /// </summary>
    public const uint Input = LibC.EPOLLIN | LibC.EPOLLRDHUP | LibC.EPOLLET;

    /// <inheritdoc cref="Input"/>
    public const uint Output = LibC.EPOLLOUT | LibC.EPOLLET;

    /// <inheritdoc cref="Input"/>
    public const uint InputAndOutput = Input | Output;

    private ManualResetValueTaskSourceCore<bool> _readiness;
    private uint _interest;
    private bool _waiting;
    private bool _hadEvent;
    private TlsLayer? _tls;

    // More than was received may be there, and the kernel has told so already: the next wait asks it to look again.
    private bool _rearm;

    public int Fd { get; private set; } = fd;

    /// <summary>The loop's index for this socket: what the kernel hands back with an event.</summary>
    public int Slot { get; set; }

    /// <summary>Told once a second.</summary>
    public LoopMember? Owner { get; set; }

    public EventLoop Loop { get; } = loop;

    /// <summary>The kernel reports what happens to it.</summary>
    public bool IsWatched => _interest != 0;

    /// <summary>
    /// Fewer bytes than asked for are all that there were (epoll(7)); but for TCP's urgent data, at which a receive stops, and whose sender
    /// waits for its own next byte.
    /// </summary>
    public SocketResult TryReceive(Span<byte> buffer)
    {
        SocketResult received = _tls is null ? TryReceiveRaw(buffer) : _tls.TryReceive(buffer);
        _rearm |= received.Count == buffer.Length;
        return received;
    }

    public SocketResult TrySend(ReadOnlySpan<byte> buffer) => _tls is null ? TrySendRaw(buffer) : _tls.TrySend(buffer);

    /// <summary>Below TLS.</summary>
    public SocketResult TryReceiveRaw(Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(LibC.Receive(Fd, pointer, (nuint)buffer.Length, LibC.MSG_DONTWAIT));
        }
    }

    /// <summary>Below TLS.</summary>
    public SocketResult TrySendRaw(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(LibC.Send(Fd, pointer, (nuint)buffer.Length, LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL));
        }
    }

    /// <summary>Accepts one connection: its descriptor as the count.</summary>
    public SocketResult TryAccept() => Result(LibC.Accept(Fd, null, null, LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC));

    /// <summary>Makes the close a reset, so that the kernel does not keep unsent answers for a client that does not read them.</summary>
    public void ResetOnClose()
    {
        // struct linger: on, for 0 seconds.
        ulong linger = 0;
        *(int*)&linger = 1;
        _ = LibC.SetSocketOption(Fd, LibC.SOL_SOCKET, LibC.SO_LINGER, &linger, sizeof(ulong));
    }

    public void ShutdownSend()
    {
        _tls?.ShutdownSend();
        _ = LibC.Shutdown(Fd, LibC.SHUT_WR);
    }

    /// <summary>TLS on this socket; null without.</summary>
    public TlsLayer? Tls => _tls;

    /// <summary>From here on the bytes are TLS. The socket is watched for both directions from now on.</summary>
    /// <returns>Null when the kernel refused to watch it.</returns>
    public TlsLayer? AddTls()
    {
        if (_interest == 0 && !Watch(InputAndOutput)) return null;
        return _tls = new TlsLayer(this);
    }

    /// <summary>True when the socket may be ready, false when the wait was cancelled.</summary>
    /// <param name="interest"><see cref="Input"/> or <see cref="Output"/>; a listener's is its own.</param>
    public ValueTask<bool> WaitAsync(uint interest) => new(this, BeginWait(interest));

    /// <summary>The same for a caller that is a source of results itself.</summary>
    public short BeginWait(uint interest)
    {
        _readiness.Reset();
        _waiting = true;
        if (_tls is not null)
        {
            // A full buffer is no reason for the layer to tell again.
            if (_rearm) EndWait(ready: true);
            _rearm = false;
        }
        else if (_interest != interest || _rearm)
        {
            // The kernel looks at the descriptor when it is told, so bytes that are there already are reported too, in the turn of the
            // others. A descriptor is registered only once it has to wait: a connection whose request came with it and that closes after
            // its answer never is.
            if (Loop.SetInterest(this, _interest == 0 ? LibC.EPOLL_CTL_ADD : LibC.EPOLL_CTL_MOD, interest)) _interest = interest;
            _rearm = false;
        }

        return _readiness.Version;
    }

    /// <summary>
    /// Waits for <see cref="Wake"/>. Events of this socket end the wait too, but each only once: what has arrived and is not read yet is no
    /// reason to look again.
    /// </summary>
    public ValueTask<bool> WaitForWakeAsync()
    {
        _readiness.Reset();
        _waiting = true;
        if (_interest == 0 && Loop.SetInterest(this, LibC.EPOLL_CTL_ADD, Input)) _interest = Input;
        return new ValueTask<bool>(this, _readiness.Version);
    }

    /// <summary>Stops the kernel's reports until the next wait, for a listener that must back off.</summary>
    public void Unregister()
    {
        if (_interest == 0) return;
        _ = Loop.SetInterest(this, LibC.EPOLL_CTL_DEL, 0);
        _interest = 0;
    }

    /// <summary>The peer reset the connection, as far as the kernel has told.</summary>
    public bool IsReset { get; private set; }

    /// <param name="events">What the kernel reported.</param>
    public void OnReady(uint events)
    {
        _rearm |= (events & (LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0;
        IsReset |= (events & LibC.EPOLLERR) != 0;
        if (_tls is null) OnLayerReady(events);
        else OnReadyWithTls(events);
    }

    /// <summary>The topmost layer has bytes, or room for them.</summary>
    public void OnLayerReady(uint events)
    {
        _hadEvent = true;
        if (_waiting) EndWait(ready: true);
        else Owner?.OnReady(events);
    }

    private void OnReadyWithTls(uint events)
    {
        _rearm = false;
        _tls!.OnReady(events);

        // The layer tells of bytes and of room; a reset is the connection's to know, whether anybody reads or not.
        if (IsReset && Fd >= 0) OnLayerReady(events);
    }

    /// <summary>The kernel has told of something since the last call.</summary>
    public bool TakeEvent()
    {
        bool had = _hadEvent;
        _hadEvent = false;
        return had;
    }

    /// <summary>Ends a wait as if the socket were ready; nothing when nobody waits.</summary>
    public void Wake() => EndWait(ready: true);

    /// <summary>Registers once for events that its owner is told of.</summary>
    /// <returns>False when the kernel refused.</returns>
    public bool Watch(uint interest)
    {
        if (Loop.SetInterest(this, LibC.EPOLL_CTL_ADD, interest)) _interest = interest;
        return _interest != 0;
    }

    /// <summary>Begins to connect a new socket.</summary>
    /// <param name="address">A <c>struct sockaddr</c>.</param>
    /// <param name="pending">The connection does not stand yet.</param>
    /// <returns>0, or the errno.</returns>
    public static int Connect(ReadOnlySpan<byte> address, out int fd, out bool pending)
    {
        pending = false;
        int family = System.Runtime.CompilerServices.Unsafe.ReadUnaligned<ushort>(ref MemoryMarshal.GetReference(address));
        fd = LibC.Socket(family, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (fd < 0) return Marshal.GetLastPInvokeError();
        int on = 1;
        _ = LibC.SetSocketOption(fd, LibC.IPPROTO_TCP, LibC.TCP_NODELAY, &on, sizeof(int));
        fixed (byte* pointer = address)
        {
            if (LibC.Connect(fd, pointer, (uint)address.Length) == 0) return 0;
        }

        int error = Marshal.GetLastPInvokeError();
        pending = error is LibC.EINPROGRESS or LibC.EINTR;
        if (pending) return 0;
        _ = LibC.Close(fd);
        return error;
    }

    /// <returns>The errno of a connect that was pending; 0 when the connection stands.</returns>
    public int PendingError()
    {
        int error = 0;
        uint length = sizeof(int);
        return LibC.GetSocketOption(Fd, LibC.SOL_SOCKET, LibC.SO_ERROR, &error, &length) < 0 ? Marshal.GetLastPInvokeError() : error;
    }

    /// <summary>Neither bytes nor an end have arrived.</summary>
    public bool HasNothingToRead()
    {
        byte one;
        return Result(LibC.Receive(Fd, &one, 1, LibC.MSG_DONTWAIT | LibC.MSG_PEEK)).WouldBlock;
    }

    /// <summary>Neither side has closed, by what has arrived at this machine.</summary>
    public bool IsFullyOpen()
    {
        // The first byte of struct tcp_info is the state.
        const byte Established = 1;
        byte state = 0;
        uint length = 1;
        return LibC.GetSocketOption(Fd, LibC.IPPROTO_TCP, LibC.TCP_INFO, &state, &length) >= 0 && state == Established;
    }

    /// <summary>Ends a wait without readiness; nothing when nobody waits.</summary>
    public void Cancel() => EndWait(ready: false);

    public void Close()
    {
        if (Fd < 0) return;
        _tls?.Close();
        Loop.Release(this);
        _ = LibC.Close(Fd);
        Fd = -1;
    }

    public bool GetResult(short token) => _readiness.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _readiness.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _readiness.OnCompleted(continuation, state, token, flags);

    private void EndWait(bool ready)
    {
        if (!_waiting) return;
        _waiting = false;
        _readiness.SetResult(ready);
    }

    private static SocketResult Result(nint returned) =>
        returned >= 0 ? new((int)returned, 0) : new(0, Marshal.GetLastPInvokeError());
}

/// <summary>What an event loop runs: a connection or a listener.</summary>
internal abstract class LoopMember
{
    /// <summary>The heartbeat, once a second on the loop's thread. One field per member is compared; there is no timer per connection.</summary>
    /// <param name="now"><see cref="EventLoop.Now"/>.</param>
    public abstract void OnTick(long now);

    /// <summary>What the kernel reports of a socket on which nobody waits.</summary>
    public virtual void OnReady(uint events)
    {
    }
}

/// <summary>What a socket operation gave: a count, "not now", or an errno. Errors on the hot path are values.</summary>
internal readonly record struct SocketResult(int Count, int Error)
{
    public bool WouldBlock => Error == LibC.EAGAIN;

    public bool Failed => Error != 0 && Error != LibC.EAGAIN;
}
