using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>
/// A non-blocking socket of one event loop, with one awaitable wait for readiness at a time. Used on the loop's thread only; continuations run
/// inline on it.
/// </summary>
internal sealed unsafe partial class LoopSocket(EventLoop loop, int fd = -1) : IValueTaskSource<bool>
{
    /// <summary>
    /// Edge-triggered, because the kernel polls a level-triggered descriptor once more for every event. RDHUP reports an end of input that arrived
    /// together with data and is not an edge of its own.
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
    private bool _resets;
    private bool _waitsForInput;
    private TlsLayer? _tls;

    // More input may be there that the kernel has already reported: the next wait re-registers to get it reported again.
    private bool _rearm;

    public int Fd { get; private set; } = fd;

    /// <summary>The loop's index of this socket, which epoll returns with each event.</summary>
    public int Slot { get; set; }

    /// <summary>The latest turn of the loop with an event of this socket, handled or not; <see cref="EventLoop.MarksEvents"/>.</summary>
    public long EventTurn { get; set; }

    /// <summary>Its <see cref="LoopMember.OnTick"/> is called once a second.</summary>
    public LoopMember? Owner { get; set; }

    public EventLoop Loop { get; } = loop;

    /// <summary>Registered with epoll.</summary>
    public bool IsWatched => _interest != 0;

    /// <summary>
    /// A short count means that the socket is drained (epoll(7)). The exception is TCP urgent data, where a receive stops: its sender then waits
    /// until it sends more.
    /// </summary>
    public SocketResult TryReceive(Span<byte> buffer)
    {
        SocketResult received = _tls is null ? TryReceiveRaw(buffer) : _tls.TryReceive(buffer);
        _rearm |= received.Count == buffer.Length || HasMore;
        return received;
    }

    public SocketResult TrySend(ReadOnlySpan<byte> buffer) => _tls is null ? TrySendRaw(buffer) : _tls.TrySend(buffer);

    public void ShutdownSend()
    {
        _tls?.ShutdownSend();
        ShutdownSendRaw();
    }

    /// <summary>Null for plain TCP.</summary>
    public TlsLayer? Tls => _tls;

    /// <summary>TLS has bytes or an end that no event will tell of.</summary>
    public bool HasMore => _tls is { HasMore: true };

    /// <summary>The peer reset the connection, as far as the kernel has reported it.</summary>
    public bool IsReset { get; private set; }

    /// <summary>All further bytes are TLS; the socket is watched in both directions from now on.</summary>
    /// <returns>Null if the kernel refuses to watch it.</returns>
    public TlsLayer? AddTls()
    {
        // Set even if nothing will ever be reported: nothing plain may pass.
        _tls = new TlsLayer(this);
        return Watch(InputAndOutput) ? _tls : null;
    }

    /// <summary>Takes another descriptor, after <see cref="Close"/>. Nothing of the one before is left.</summary>
    public void Open(int fd)
    {
        Fd = fd;
        EventTurn = 0;
        _interest = 0;
        _hadEvent = _rearm = _resets = IsReset = false;
        _tls = null;
    }

    /// <summary>Waits, without a descriptor, for the <see cref="Wake"/> that follows <see cref="Open"/>.</summary>
    public ValueTask<bool> WaitForOpenAsync()
    {
        _readiness.Reset();
        _waiting = true;
        return new ValueTask<bool>(this, _readiness.Version);
    }

    /// <summary>Neither bytes nor an end have arrived.</summary>
    public bool HasNothingToRead()
    {
        if (_tls is not null)
        {
            bool nothing = _tls.HasNothingToRead();
            _rearm |= HasMore;
            return nothing;
        }

        byte one;
        return Result(LibC.Receive(Fd, &one, 1, LibC.MSG_DONTWAIT | LibC.MSG_PEEK)).WouldBlock;
    }

    /// <summary>
    /// Neither side has closed, according to what has arrived at this machine. A TLS peer closes with a close_notify, possibly behind unread bytes:
    /// with unread bytes the connection does not count as fully open.
    /// </summary>
    public bool IsFullyOpen()
    {
        if (_tls is not null && !HasNothingToRead()) return false;

        // The first byte of struct tcp_info is the state.
        const byte Established = 1;
        byte state = 0;
        uint length = 1;
        return LibC.GetSocketOption(Fd, LibC.IPPROTO_TCP, LibC.TCP_INFO, &state, &length) >= 0 && state == Established;
    }

    /// <summary>True if the socket may be ready, false if the wait was canceled.</summary>
    /// <param name="interest"><see cref="Input"/> or <see cref="Output"/>; a listener has its own.</param>
    public ValueTask<bool> WaitAsync(uint interest) => new(this, BeginWait(interest));

    /// <summary>The same for a caller that implements <see cref="IValueTaskSource{T}"/> itself.</summary>
    public short BeginWait(uint interest)
    {
        _readiness.Reset();
        _waiting = true;
        if (_tls is not null)
        {
            // TLS does not report again what did not fit into the buffer, or what came while its owner waited for room.
            _waitsForInput = interest != Output;
            if (_rearm && _waitsForInput)
            {
                _rearm = false;
                EndWait(ready: true);
            }
        }
        else if (_interest != interest || _rearm)
        {
            // epoll_ctl checks the descriptor, so input that is already there is reported in the loop's next turn. A descriptor is registered
            // only when it has to wait: never for a connection that arrives with its request and closes after the response.
            if (Loop.SetInterest(this, _interest == 0 ? LibC.EPOLL_CTL_ADD : LibC.EPOLL_CTL_MOD, interest)) _interest = interest;
            _rearm = false;
        }

        return _readiness.Version;
    }

    /// <summary>Waits for <see cref="Wake"/> or the next event. Input that the kernel has reported already does not end the wait.</summary>
    public ValueTask<bool> WaitForWakeAsync()
    {
        _readiness.Reset();
        _waiting = true;
        _waitsForInput = false;
        if (_interest == 0) _ = Watch(Input);
        return new ValueTask<bool>(this, _readiness.Version);
    }

    /// <summary>Ends the current wait, if any, as if the socket were ready.</summary>
    public void Wake() => EndWait(ready: true);

    /// <summary>Epoll has reported something since the last <see cref="TakeEvent"/>.</summary>
    public bool HasEvent => _hadEvent;

    /// <summary>True if epoll has reported something since the last call.</summary>
    public bool TakeEvent()
    {
        bool had = _hadEvent;
        _hadEvent = false;
        return had;
    }

    /// <summary>Registers the socket for events that its owner is told about.</summary>
    /// <returns>False if the kernel refuses.</returns>
    public bool Watch(uint interest)
    {
        if (_interest != interest && Loop.SetInterest(this, _interest == 0 ? LibC.EPOLL_CTL_ADD : LibC.EPOLL_CTL_MOD, interest)) _interest = interest;
        return _interest == interest;
    }

    /// <summary>Removes the socket from epoll until the next wait, for a listener that must back off.</summary>
    public void Unregister()
    {
        if (_interest == 0) return;
        _ = Loop.SetInterest(this, LibC.EPOLL_CTL_DEL, 0);
        _interest = 0;
    }

    /// <param name="events">From epoll.</param>
    public void OnReady(uint events)
    {
        IsReset |= (events & LibC.EPOLLERR) != 0;
        if (_tls is null)
        {
            _rearm |= (events & (LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0;
            OnLayerReady(events);
            return;
        }

        _tls.OnReady(events);

        // TLS reports bytes and room; a reset concerns the connection whether it reads or not.
        if (IsReset && Fd >= 0) OnLayerReady(events);
    }

    /// <summary>The topmost layer has bytes, or room for them.</summary>
    public void OnLayerReady(uint events)
    {
        _hadEvent = true;
        _rearm |= _tls is not null && (events & LibC.EPOLLIN) != 0 && !(_waiting && _waitsForInput);
        if (_waiting) EndWait(ready: true);
        else Owner?.OnReady(events);
    }

    /// <summary>Cancels the current wait, if any.</summary>
    public void Cancel() => EndWait(ready: false);

    public void Close()
    {
        if (Fd < 0) return;
        try
        {
            _tls?.Close(_resets);
        }
        finally
        {
            Loop.Release(this);
            _ = LibC.Close(Fd);
            Fd = -1;
        }
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
}
