using System.Text;
using DynamicSharding.Server;

namespace DynamicSharding.Forward;

/// <summary>One connection to a gateway, on the loop of the client that uses it. Between two pushes it waits in its <see cref="UpstreamPool"/>.</summary>
internal sealed class Upstream : LoopMember
{
    /// <summary>Pushgateway keeps idle connections without limit; what stands in front of it often for a minute.</summary>
    private const long KeepMilliseconds = 30_000;

    /// <summary>Ticks are a second apart: the one that is nearest to the end of its time closes an idle connection.</summary>
    private const long HalfTick = 500;

    /// <summary>More than a gateway reads ahead of what it has parsed.</summary>
    private const int MaxSpoil = 64 * 1024;

    /// <summary>A gateway that does not take it by then has not taken the push.</summary>
    private const long SpoilMilliseconds = 1000;

    private readonly ForwardLoop _forward;
    private ForwardGatewayCounters? _place;
    private ReadOnlyMemory<byte> _spoil;
    private long _spoilUntil;
    private long _idleSince;
    private long _keepFor;
    private bool _hasEnded;
    private long _idleTurn;
    private int _address;

    public Upstream(ForwardLoop forward)
    {
        _forward = forward;
        Socket = new LoopSocket(forward.Loop) { Owner = this };
    }

    public LoopSocket Socket { get; }

    /// <summary>The list that has the address of this connection.</summary>
    public EndpointList Endpoints { get; private set; } = null!;

    /// <summary>The name of its gateway still leads to its address.</summary>
    public bool LeadsTo(EndpointList? current) => ReferenceEquals(Endpoints, current) || current?.Contains(Endpoints.Addresses[_address]) == true;

    /// <summary>The push that it carries; null while it is idle.</summary>
    public ForwardSession? User { get; private set; }

    /// <summary>It has carried a push before.</summary>
    public bool IsReused { get; private set; }

    public bool IsOpen { get; private set; }

    /// <summary>The gateway has closed its side, or the connection has failed; bytes from before may still be there.</summary>
    public bool HasEnded => _hasEnded || Socket.HasMore;

    public bool IsConnecting { get; private set; }

    public UpstreamPool Pool { get; private set; } = null!;

    /// <summary>Begins to connect.</summary>
    /// <param name="endpoints">The gateway's addresses.</param>
    /// <param name="index">Of the address.</param>
    /// <param name="fd">A socket that connects.</param>
    /// <returns>0, or the errno.</returns>
    public int Open(UpstreamPool pool, EndpointList endpoints, int index, int fd, bool pending, ForwardSession user)
    {
        Pool = pool;
        Socket.Open(fd);
        _forward.Loop.Add(Socket);
        _forward.OpenUpstreams++;
        Endpoints = endpoints;
        _address = index;
        User = user;
        IsOpen = true;
        IsConnecting = true;
        IsReused = _hasEnded = false;
        _keepFor = KeepMilliseconds;
        bool ok = Socket.Watch(LoopSocket.InputAndOutput);
        if (ok && !pending) ok = Advance() is null;
        if (ok) return 0;
        Close();
        return LibC.ENOMEM;
    }

    /// <summary>The kernel or TLS has told of something while it connects.</summary>
    /// <returns>Why it cannot be had; null while it can.</returns>
    public string? Advance()
    {
        if (Socket.Tls is { } tls)
        {
            IsConnecting = !tls.IsAuthenticated;
            return tls.Failure;
        }

        if (Socket.PendingError() is var error and not 0) return System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(error);
        if (Pool.Target.NextTls is not { } options)
        {
            IsConnecting = false;
            return null;
        }

        if (Socket.AddTls() is not { } added) return System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(LibC.ENOMEM);
        added.Connect(options);
        IsConnecting = !added.IsAuthenticated;
        return added.Failure;
    }

    /// <summary>It is established, so the next one goes to the same address.</summary>
    public void OnConnected()
    {
        if (Endpoints.First != _address) Endpoints.First = _address;
    }

    /// <summary>Gives a kept connection its next push.</summary>
    /// <returns>False when its time is over, it has ended, or it has sent what nobody asked for.</returns>
    public bool TryReuse(ForwardSession user)
    {
        // What has come before the last wait is an event of this turn, perhaps one that is not handled yet. Without one there is nothing; what came
        // in the turn of the last response, only the socket knows.
        EventLoop loop = _forward.Loop;
        if (loop.Now - _idleSince >= _keepFor) return false;
        bool isKnown = loop.HasAllEvents && Socket.EventTurn != loop.Turn && _idleTurn != loop.Turn;
        if (!isKnown && !Socket.HasNothingToRead()) return false;
        User = user;
        IsReused = true;
        return true;
    }

    /// <summary>It waits for its next push.</summary>
    /// <param name="timeout">
    /// Seconds after which the gateway closes it; null when its last response does not say, and what an earlier one said holds. In the last of them,
    /// or the second half of a single one, the gateway's end may meet a push.
    /// </param>
    public void Idle(int? timeout)
    {
        User = null;
        _idleSince = Pool.Loop.Now;
        _idleTurn = Pool.Loop.Turn;
        if (timeout is { } seconds) _keepFor = Math.Min(KeepMilliseconds, seconds > 1 ? (seconds - 1) * 1000L : 500);
    }

    public bool HasEvent => Socket.HasEvent;

    /// <summary>The kernel has told of something since the last call.</summary>
    public bool TakeEvent() => Socket.TakeEvent();

    /// <summary>
    /// The gateway has a part of a push that it might take as it is. It gets bytes that no metric begins with, wherever in a text they come,
    /// and then the end of the connection.
    /// </summary>
    /// <param name="expected">Bytes of content that the gateway still waits for.</param>
    /// <param name="place">The push's place, which is free when this is over.</param>
    public void Spoil(long expected, ForwardGatewayCounters? place) => BeginSpoiling(NoMetric((int)Math.Min(MaxSpoil, expected)), place);

    /// <summary>The same within content in chunks.</summary>
    /// <param name="unsent">The rest of chunks whose beginning is sent.</param>
    /// <param name="place">The push's place.</param>
    public void SpoilChunks(ReadOnlySpan<byte> unsent, ForwardGatewayCounters? place) =>
        BeginSpoiling([.. unsent, .. Encoding.ASCII.GetBytes($"{MaxSpoil:x}\r\n"), .. NoMetric(MaxSpoil), .. "\r\n"u8], place);

    private static byte[] NoMetric(int length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) bytes[i] = "\n\0{"u8[i % 3];
        return bytes;
    }

    private void BeginSpoiling(byte[] bytes, ForwardGatewayCounters? place)
    {
        User = null;
        _spoil = bytes;
        _spoilUntil = Pool.Loop.Now + SpoilMilliseconds;
        _place = place;
        ContinueSpoiling();
    }

    public override void OnReady(uint events)
    {
        _hasEnded |= (events & (LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0;
        if (User is { AwaitsRoom: false } && (events & ~LibC.EPOLLOUT) == 0 && !Socket.HasMore) Socket.TakeEvent(); // room that nobody waits for
        else if (User is not null) User.OnUpstreamReady();
        else if (!_spoil.IsEmpty) ContinueSpoiling();
        else if ((events & ~LibC.EPOLLOUT) != 0 && !(Socket.Tls is not null && Socket.HasNothingToRead())) Pool.Drop(this);
    }

    public override void OnTick(long now)
    {
        if (User is not null) return;
        if (!_spoil.IsEmpty)
        {
            if (now > _spoilUntil) Close();
        }
        else if (now - _idleSince + HalfTick >= _keepFor)
        {
            Pool.Drop(this);
        }
    }

    private void ContinueSpoiling()
    {
        while (!_spoil.IsEmpty)
        {
            SocketResult sent = Socket.TrySend(_spoil.Span);
            if (sent.WouldBlock) return;
            if (sent.Failed) break;
            _spoil = _spoil[sent.Count..];
        }

        Close();
    }

    /// <summary>Whoever has a reference forgets it: the object is free for another connection, and has nothing of this one.</summary>
    public void Close()
    {
        if (!IsOpen) return;
        IsOpen = IsConnecting = IsReused = _hasEnded = false;
        _place?.Leave();
        _place = null;
        _spoil = default;
        _spoilUntil = _idleSince = _keepFor = _idleTurn = 0;
        _address = 0;
        User = null;
        Endpoints = null!;
        Pool = null!;
        Socket.Close();
        _forward.OpenUpstreams--;
        _forward.Upstreams.Return(this);
    }
}
