using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;

namespace DynamicSharding.Server;

/// <summary>
/// One client connection after the other: reads, lets its session respond, sends, and closes in order. Runs on its loop's thread from the first
/// byte to the last and awaits nothing but socket readiness. Between two clients it waits in its listener's pool, with its socket, reader and
/// session, so that a client that connects costs no allocation.
/// </summary>
internal sealed partial class Connection : LoopMember
{
    /// <summary>How long a stop waits for a client that is still sending: a slow round trip.</summary>
    private static readonly TimeSpan DrainGrace = TimeSpan.FromSeconds(2);

    private readonly LoopSocket _socket;
    private readonly EventLoop _loop;
    private readonly SocketPipeReader _reader;
    private readonly HttpSession _session;
    private readonly ConnectionLimit _limit;
    private readonly ILogger _logger;

    /// <summary>Null for a connection that serves one client only.</summary>
    private readonly ObjectPool<Connection>? _pool;

    private ConnectionDeadline _deadline;

    /// <summary>The deadline has passed, or the server ends the connection.</summary>
    private CloseReason? _expired;
    private int _unsentEnd;
    private bool _draining;

    /// <summary>What this client has to begin with; null for TLS or HTTP.</summary>
    private ProxyGate? _gate;
    private SslServerAuthenticationOptions? _tls;

    /// <summary>The client, if a proxy has named one.</summary>
    private ClientAddress? _source;

    public Connection(
        EventLoop loop, ConnectionLimit limit, Func<Connection, HttpSession> newSession, ILogger logger, ObjectPool<Connection>? pool = null)
    {
        _loop = loop;
        _socket = new LoopSocket(loop) { Owner = this };
        _limit = limit;
        _logger = logger;
        _pool = pool;
        _session = newSession(this);
        _reader = new SocketPipeReader(_socket, takesContent: _session.Forwards);
        _ = ServeClientsAsync();
    }

    public EventLoop Loop => _loop;

    /// <summary>The client's address; null when the kernel no longer knows it.</summary>
    public System.Net.IPAddress? Peer => (_source ?? PeerAddress.ValueOf(_socket.Fd))?.ToIPAddress();

    /// <summary>Ends the wait of a session that waits for its gateway.</summary>
    public void Wake() => _socket.Wake();

    /// <summary>The client has closed neither side, according to what has arrived at this machine.</summary>
    public bool IsFullyOpen() => !_socket.IsReset && _socket.IsFullyOpen();

    /// <summary>Serves a client to its end. No client can make it throw.</summary>
    /// <param name="fd">The client's socket, which the connection closes.</param>
    /// <param name="tls">What a TLS handshake needs; null for plain TCP.</param>
    /// <param name="gate">What its header of the PROXY protocol needs; null without one.</param>
    public void Start(int fd, SslServerAuthenticationOptions? tls = null, ProxyGate? gate = null)
    {
        Reset();
        _gate = gate;
        _tls = tls;
        _socket.Open(fd);
        _loop.Add(_socket);
        _loop.Connections++;
        if (tls is null || gate is not null)
        {
            _socket.Wake();
            return;
        }

        // Serving begins first: a handshake may be over, in vain, before this returns.
        TlsLayer? layer = _socket.AddTls();
        _socket.Wake();
        layer?.Accept(tls);
    }

    /// <summary>Nothing of the client before is left.</summary>
    public void Reset()
    {
        (_gate, _tls, _source) = (null, null, null);
        (_trust, _headerSeen, _headerStalls) = (default, 0, 0);
        _deadline = default;
        _expired = null;
        _unsentEnd = 0;
        _draining = false;
        _reader.Reset();
        _session.Reset();
    }

    public override void OnTick(long now)
    {
        // Not while the client is behind with reading: that is no silence of its gateway.
        if (_session.WaitsForGateway && _deadline.Reason is null && now > _session.GatewayDeadline)
        {
            _session.OnGatewayTimeout();
            _socket.Wake();
        }

        if (_deadline.HasPassed(_session, _loop.Context.Limits, now)) Expire(_deadline.Reason!.Value);
    }

    /// <summary>
    /// The server stops: an idle connection ends now, a busy one after its current response. A connection without any request yet gets a slow
    /// round trip's time to send one.
    /// </summary>
    public void Drain()
    {
        _draining = true;
        if (_deadline.Reason is CloseReason.LingerTimeout or CloseReason.TlsFailed or CloseReason.BadProxyHeader) _deadline.NotAfter(_loop.Now + (long)DrainGrace.TotalMilliseconds);
        if (_deadline.Reason != CloseReason.Idle) return;
        if (_session.Requests > 0) Expire(CloseReason.Drained);
        else SetDeadline(CloseReason.Drained, DrainGrace);
    }

    /// <summary>The server's stop ran out of time.</summary>
    public void Abort() => Expire(CloseReason.Aborted);

    /// <summary>One call for all clients: the state of an async method is an object, too. Ends with the pool.</summary>
    private async Task ServeClientsAsync()
    {
        while (await _socket.WaitForOpenAsync())
        {
            CloseReason? reason = null;
            try
            {
                if (_gate is not null) reason = BeginProxyHeader(_gate);
                while (_gate is not null && reason is null && !TakeProxyHeader(_gate, out reason))
                {
                    if (!await _socket.WaitAsync(LoopSocket.Input)) reason = ExpiredReason();
                }

                SetFirstDeadline();
                SessionStep step = SessionStep.Read;
                bool ends = false;
                while (reason is null)
                {
                    int unsent;
                    if (_session.WaitsForGateway || _session.HasGatewayEvent)
                    {
                        // Nothing of the client is read until its response is sent.
                        if (step == SessionStep.Wait && !_session.HasGatewayEvent && !await _socket.WaitForWakeAsync())
                        {
                            reason = ExpiredReason();
                            break;
                        }

                        if (_socket.IsReset)
                        {
                            reason = CloseReason.Reset;
                            break;
                        }

                        step = Handle(default, out _, out unsent);
                        if (!_session.WaitsForGateway && _socket.TakeEvent()) _reader.MayBeReadable();
                    }
                    else
                    {
                        // A stop ends the connection here, unless a request has arrived: closing would reset it.
                        ReadResult read;
                        if (!ends)
                        {
                            read = await _reader.ReadAsync();
                        }
                        else if (!_reader.TryReceiveNow(out read))
                        {
                            reason = CloseReason.Drained;
                            break;
                        }

                        if (read.IsCanceled)
                        {
                            _reader.AdvanceTo(read.Buffer.End);

                            // A request may have arrived since the last read: closing would reset it.
                            if (_expired is not (CloseReason.Idle or CloseReason.Drained) || !_reader.TryRead(out read))
                            {
                                reason = await EndExpiredAsync();
                                break;
                            }

                            _expired = null;
                        }

                        // A client that closed its side has its responses already (RFC 9112 9.6): each was sent when its request arrived.
                        if (read.IsCompleted)
                        {
                            reason = _session.InPush ? await EndPushAsync(PushEnd.ClientClosed) : Ended();
                            break;
                        }

                        step = HandleBuffered(read.Buffer, out unsent);
                    }

                    if (unsent != 0 && !await SendRestAsync(unsent))
                    {
                        reason = EndedWriting();
                        break;
                    }

                    switch (step)
                    {
                        case SessionStep.Close when _session.Forwards && !_socket.HasNothingToRead():
                            // It came while the push was with its gateway: closing would reset the connection.
                            reason = await LingerAsync();
                            break;
                        case SessionStep.Close:
                            reason = _loop.Context.Draining ? CloseReason.Drained : CloseReason.ConnectionCloseRequested;
                            break;
                        case SessionStep.Linger:
                            reason = await LingerAsync();
                            break;
                        case SessionStep.Reset:
                            _socket.ResetOnClose();
                            reason = CloseReason.Aborted;
                            break;
                        case var _ when _session.WaitsForGateway:
                            _deadline.Clear();
                            break;
                        default:
                            bool isIdle = _draining && step == SessionStep.Read && !_session.InHead && !_session.InBody;
                            ends = isIdle && _session.Requests > 0;
                            if (isIdle && !ends) SetDeadline(CloseReason.Drained, DrainGrace); // a handshake is done, its request comes next
                            else _deadline.SetForRead(_session, _loop.Context.Limits, _loop.Now);
                            break;
                    }
                }
            }
            catch (Exception error)
            {
                _logger.ConnectionFailed(error);
            }

            // Nobody awaits this task, so it logs its own failure.
            try
            {
                End(reason ?? CloseReason.IoError);
            }
            catch (Exception error)
            {
                _logger.ConnectionFailed(error);
                return;
            }

            if (_pool is null) return;
            _pool.Return(this);
        }
    }

    /// <summary>From received bytes to sent bytes: never waits, throws or allocates.</summary>
    /// <param name="unsent">How many bytes at the end of the output did not fit into the socket; negative when the socket is dead.</param>
    private SessionStep HandleBuffered(in ReadOnlySequence<byte> buffer, out int unsent)
    {
        SessionStep step = Handle(buffer.FirstSpan, out int consumed, out unsent);
        SequencePosition used = buffer.GetPosition(consumed);
        _reader.ContentAhead = step == SessionStep.Linger ? long.MaxValue : _session.ContentAhead;
        if (step == SessionStep.Read) _reader.AdvanceTo(used, buffer.End);
        else if (step is SessionStep.Flush or SessionStep.Wait) _reader.AdvanceTo(used, used);
        else _reader.AdvanceTo(buffer.End); // after the last response nothing is kept for this client
        return step;
    }

    private SessionStep Handle(ReadOnlySpan<byte> input, out int consumed, out int unsent)
    {
        SessionContext context = _loop.Context;
        long requests = _session.Requests;
        SessionStep step = _session.Advance(input, context, _loop.OutputBuffer, out consumed, out int written);
        if (context.Rejects.Count > 0) NoteRejects(context);

        unsent = 0;
        if (written == 0) return step;
        SocketResult sent = _socket.TrySend(_loop.OutputBuffer.AsSpan(0, written));
        if (!_session.Forwards) _loop.ObserveBatch((int)(_session.Requests - requests));
        unsent = sent.Failed ? -1 : written - sent.Count;
        _unsentEnd = written;
        return step;
    }

    /// <summary>The client reads slower than it sends requests: keeps the rest and reads no further request until the rest is sent.</summary>
    private async ValueTask<bool> SendRestAsync(int unsent)
    {
        if (unsent < 0) return false;
        byte[] rest = _loop.RentBuffer(unsent);
        _loop.OutputBuffer.AsSpan(_unsentEnd - unsent, unsent).CopyTo(rest);
        try
        {
            int sent = 0;
            SetDeadline(CloseReason.WriteTimeout, _loop.Context.Limits.WriteTimeout);
            while (sent < unsent)
            {
                if (!await _socket.WaitAsync(LoopSocket.Output)) return false;
                SocketResult result = _socket.TrySend(rest.AsSpan(sent, unsent - sent));
                if (result.Failed) return false;
                if (result.Count > 0) SetDeadline(CloseReason.WriteTimeout, _loop.Context.Limits.WriteTimeout);
                sent += result.Count;
            }

            return true;
        }
        finally
        {
            _loop.ReturnBuffer(rest);
        }
    }

    private void SetDeadline(CloseReason reason, TimeSpan timeout) => _deadline.Set(reason, timeout, _loop.Now);

    private void Expire(CloseReason reason)
    {
        if (_expired != CloseReason.Aborted) _expired = reason;
        _deadline.Clear();
        _socket.Cancel();
    }
}
