using System.Buffers;
using System.IO.Pipelines;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// One client connection: reads, lets its session answer, sends, and ends in good order. Runs on its loop's thread from the first byte to
/// the last; the only awaits are for readiness.
/// </summary>
internal sealed class Connection : LoopMember
{
    /// <summary>nginx's ratio of lingering_time (30 s) to lingering_timeout (5 s), doubled for slow uplinks.</summary>
    private const int LingerTotalFactor = 12;

    /// <summary>Kestrel's grace before a minimum rate is judged.</summary>
    private const int RateGraceMilliseconds = 5000;

    /// <summary>What a stop grants to a client that has something to do: a slow round trip.</summary>
    private static readonly TimeSpan DrainGrace = TimeSpan.FromSeconds(2);

    private readonly LoopSocket _socket;
    private readonly EventLoop _loop;
    private readonly SocketPipeReader _reader;
    private readonly HttpSession _session;
    private readonly ConnectionLimit _limit;
    private readonly ILogger _logger;
    private DeadlineKind _deadlineKind;
    private DeadlineKind _expired;
    private long _deadline;
    private long _bodyStart;
    private long _requestsAtHead = -1;
    private int _unsentEnd;
    private bool _draining;

    public Connection(LoopSocket socket, ConnectionLimit limit, Func<Connection, HttpSession> newSession, ILogger logger)
    {
        _socket = socket;
        _loop = socket.Loop;
        _reader = new SocketPipeReader(socket);
        _limit = limit;
        _logger = logger;
        socket.Owner = this;
        _session = newSession(this);
    }

    public EventLoop Loop => _loop;

    /// <summary>The client's address; null when the kernel does not know any more.</summary>
    public System.Net.IPAddress? Peer => PeerAddress.EndPointOf(_socket.Fd)?.Address;

    /// <summary>Whatever its session waited for is there.</summary>
    public void Wake() => _socket.Wake();

    /// <summary>The client has closed neither side, by what has arrived at this machine.</summary>
    public bool IsFullyOpen() => !_socket.IsReset && _socket.IsFullyOpen();

    /// <summary>Serves the connection to its end. Never throws for anything that a client does.</summary>
    public async Task RunAsync()
    {
        CloseReason reason = CloseReason.IoError;
        try
        {
            reason = await ServeAsync();
        }
        catch (Exception error)
        {
            _logger.ConnectionFailed(error);
        }

        // Nobody awaits this task: what fails must be said here.
        try
        {
            End(reason);
        }
        catch (Exception error)
        {
            _logger.ConnectionFailed(error);
        }
    }

    public override void OnTick(long now)
    {
        if (_deadlineKind == DeadlineKind.Body && IsTooSlow(now)) Expire(DeadlineKind.Body);
        else if (_deadlineKind != DeadlineKind.None && now > _deadline) Expire(_deadlineKind);
    }

    /// <summary>
    /// The server stops: an idle connection ends now, another after its current answer. One whose first request is still on its way gets
    /// the time of a slow round trip for it.
    /// </summary>
    public void Drain()
    {
        _draining = true;
        if (_deadlineKind == DeadlineKind.Linger) _deadline = Math.Min(_deadline, _loop.Now + (long)DrainGrace.TotalMilliseconds);
        if (_deadlineKind != DeadlineKind.Idle) return;
        if (_session.Requests > 0) Expire(DeadlineKind.Drain);
        else SetDeadline(DeadlineKind.Drain, DrainGrace);
    }

    /// <summary>The server's stop is out of time.</summary>
    public void Abort() => Expire(DeadlineKind.Abort);

    private async Task<CloseReason> ServeAsync()
    {
        SetDeadline(DeadlineKind.Idle, _loop.Context.Limits.IdleTimeout);
        SessionStep step = SessionStep.Read;
        bool ends = false;
        while (true)
        {
            int unsent;
            if (_session.WaitsForGateway)
            {
                // Nothing of the client is read until the response is sent.
                if (step == SessionStep.Wait && !await _socket.WaitForWakeAsync())
                {
                    if (_expired != DeadlineKind.Gateway) return ExpiredReason();
                    _expired = DeadlineKind.None;
                    _session.OnGatewayTimeout();
                }

                if (_socket.IsReset) return CloseReason.Reset;
                step = Handle(default, out _, out unsent);
                if (!_session.WaitsForGateway && _socket.TakeEvent()) _reader.MayBeReadable();
            }
            else
            {
                // A stop ends the connection here; but what has arrived is a request like any other, and a close now would reset it.
                ReadResult read;
                if (!ends) read = await _reader.ReadAsync();
                else if (!_reader.TryReceiveNow(out read)) return CloseReason.Drained;

                if (read.IsCanceled)
                {
                    _reader.AdvanceTo(read.Buffer.End);

                    // What arrived since the loop last looked is a request like any other: a close now would reset it.
                    if (_expired is not (DeadlineKind.Idle or DeadlineKind.Drain) || !_reader.TryRead(out read)) return await EndExpiredAsync();
                    _expired = DeadlineKind.None;
                }

                // A client that closed its side still gets the answers to what it had sent (RFC 9112 9.6): they were sent when it came.
                if (read.IsCompleted) return _session.InPush ? await EndPushAsync(PushEnd.ClientClosed) : Ended();
                step = HandleBuffered(read.Buffer, out unsent);
            }

            if (unsent != 0 && !await SendRestAsync(unsent)) return EndedWriting();
            switch (step)
            {
                case SessionStep.Close:
                    return _loop.Context.Draining ? CloseReason.Drained : CloseReason.ConnectionCloseRequested;
                case SessionStep.Linger:
                    return await LingerAsync();
                case SessionStep.Reset:
                    _socket.ResetOnClose();
                    return CloseReason.Aborted;
            }

            if (_session.WaitsForGateway)
            {
                _deadlineKind = DeadlineKind.Gateway;
                _deadline = _session.GatewayDeadline;
                continue;
            }

            ends = _draining && step == SessionStep.Read && !_session.InHead && !_session.InBody;
            SetReadDeadline();
        }
    }

    private async ValueTask<CloseReason> EndPushAsync(PushEnd end)
    {
        int written = _session.EndPush(end, _loop.Context, _loop.OutputBuffer);
        if (written > 0) _ = _socket.TrySend(_loop.OutputBuffer.AsSpan(0, written));
        return end == PushEnd.ClientClosed ? Ended() : await LingerAsync();
    }

    /// <summary>From "bytes are here" to "bytes are sent": nothing in here waits, throws or allocates.</summary>
    /// <param name="unsent">0, or how many bytes at the end of the output did not fit into the socket; negative when it is dead.</param>
    private SessionStep HandleBuffered(in ReadOnlySequence<byte> buffer, out int unsent)
    {
        SessionStep step = Handle(buffer.FirstSpan, out int consumed, out unsent);
        SequencePosition used = buffer.GetPosition(consumed);
        _reader.ContentAhead = step == SessionStep.Linger ? long.MaxValue : _session.ContentAhead;
        if (step == SessionStep.Read) _reader.AdvanceTo(used, buffer.End);
        else if (step is SessionStep.Flush or SessionStep.Wait) _reader.AdvanceTo(used, used);
        else _reader.AdvanceTo(buffer.End); // the last answer is written: nothing more is held for this client
        return step;
    }

    private SessionStep Handle(ReadOnlySpan<byte> input, out int consumed, out int unsent)
    {
        SessionContext context = _loop.Context;
        long requests = _session.Requests;
        SessionStep step = _session.Advance(input, context, _loop.OutputBuffer, out consumed, out int written);
        if (context.Rejects.Count > 0) LogRejects(context);

        unsent = 0;
        if (written == 0) return step;
        SocketResult sent = _socket.TrySend(_loop.OutputBuffer.AsSpan(0, written));
        long now = System.Diagnostics.Stopwatch.GetTimestamp();
        _session.Counters.ObserveBatch(now - _loop.Began, (int)(_session.Requests - requests));
        _loop.Began = now;
        unsent = sent.Failed ? -1 : written - sent.Count;
        _unsentEnd = written;
        return step;
    }

    /// <summary>The client does not read as fast as it asks: keeps what is left and reads no further request until it is sent.</summary>
    private async ValueTask<bool> SendRestAsync(int unsent)
    {
        if (unsent < 0) return false;
        byte[] rest = _loop.RentBuffer(unsent);
        _loop.OutputBuffer.AsSpan(_unsentEnd - unsent, unsent).CopyTo(rest);
        try
        {
            int sent = 0;
            SetDeadline(DeadlineKind.Write, _loop.Context.Limits.WriteTimeout);
            while (sent < unsent)
            {
                if (!await _socket.WaitAsync(LoopSocket.Output)) return false;
                SocketResult result = _socket.TrySend(rest.AsSpan(sent, unsent - sent));
                if (result.Failed) return false;
                if (result.Count > 0) SetDeadline(DeadlineKind.Write, _loop.Context.Limits.WriteTimeout);
                sent += result.Count;
            }

            return true;
        }
        finally
        {
            _loop.ReturnBuffer(rest);
        }
    }

    private async Task<CloseReason> EndExpiredAsync()
    {
        if (_expired == DeadlineKind.Body && _session.InPush) return await EndPushAsync(PushEnd.BodyTimeout);
        if (_expired != DeadlineKind.Head) return ExpiredReason();
        int written = _session.WriteHeaderTimeout(_loop.Context, _loop.OutputBuffer);
        LogRejects(_loop.Context);
        _ = _socket.TrySend(_loop.OutputBuffer.AsSpan(0, written));
        _ = await LingerAsync();
        return CloseReason.HeaderTimeout;
    }

    /// <summary>
    /// Half-closes and discards what still comes, until the client closes too: bounded between two reads and in all, as in nginx.
    /// </summary>
    private async Task<CloseReason> LingerAsync()
    {
        _socket.ShutdownSend();
        TimeSpan timeout = _loop.Context.Limits.LingerTimeout;
        long end = _loop.Now + (LingerTotalFactor * (long)timeout.TotalMilliseconds);
        while (true)
        {
            SetDeadline(DeadlineKind.Linger, _draining && timeout > DrainGrace ? DrainGrace : timeout);
            _deadline = Math.Min(_deadline, end);
            ReadResult read = await _reader.ReadAsync();
            _reader.AdvanceTo(read.Buffer.End);
            if (read.IsCanceled) return ExpiredReason();
            if (read.IsCompleted) return _reader.Error != 0 ? CloseReason.Reset : _session.IsBroken ? CloseReason.Rejected : CloseReason.Lingered;
        }
    }

    private void SetReadDeadline()
    {
        if (_session.InBody)
        {
            // An average alone would let a client that sent much at once keep silent for an hour.
            bool isNew = _deadlineKind != DeadlineKind.Body || _requestsAtHead != _session.Requests;
            SetDeadline(DeadlineKind.Body, _session.ContentTimeout(_loop.Context.Limits));
            if (!isNew) return;
            _bodyStart = _loop.Now;
            _requestsAtHead = _session.Requests;
        }
        else if (!_session.InHead)
        {
            SetDeadline(DeadlineKind.Idle, _loop.Context.Limits.IdleTimeout);
        }
        else if (_deadlineKind != DeadlineKind.Head || _requestsAtHead != _session.Requests)
        {
            // From the head's first byte to its end; more bytes do not renew it.
            SetDeadline(DeadlineKind.Head, _loop.Context.Limits.HeaderTimeout);
            _requestsAtHead = _session.Requests;
        }
    }

    private void SetDeadline(DeadlineKind kind, TimeSpan timeout)
    {
        _deadlineKind = kind;
        _deadline = _loop.Now + (long)timeout.TotalMilliseconds;
    }

    /// <summary>Average rate since the content began.</summary>
    private bool IsTooSlow(long now)
    {
        long elapsed = now - _bodyStart;
        return elapsed > RateGraceMilliseconds && _session.BodySkipped * 1000 < _loop.Context.Limits.BodyMinRate * elapsed;
    }

    private void Expire(DeadlineKind kind)
    {
        if (_expired != DeadlineKind.Abort) _expired = kind;
        _deadlineKind = DeadlineKind.None;
        _socket.Cancel();
    }

    private CloseReason ExpiredReason() => _expired switch
    {
        DeadlineKind.Idle => CloseReason.Idle,
        DeadlineKind.Head => CloseReason.HeaderTimeout,
        DeadlineKind.Body => CloseReason.BodyTimeout,
        DeadlineKind.Write or DeadlineKind.Gateway => CloseReason.WriteTimeout,
        DeadlineKind.Linger => CloseReason.LingerTimeout,
        DeadlineKind.Drain => CloseReason.Drained,
        _ => CloseReason.Aborted,
    };

    private CloseReason Ended() => _reader.Error == 0 ? CloseReason.ClientClosed : CloseReason.Reset;

    private CloseReason EndedWriting() => _expired == DeadlineKind.None ? CloseReason.Reset : ExpiredReason();

    private void LogRejects(SessionContext context)
    {
        if (!_logger.IsEnabled(LogLevel.Debug)) return;
        string peer = PeerAddress.Of(_socket.Fd);
        foreach (RejectReason reason in context.Rejects) _logger.RequestRejected(RejectReasons.Label(reason), peer);
    }

    private void End(CloseReason reason)
    {
        _session.End();
        _reader.Complete();
        if (_logger.IsEnabled(LogLevel.Debug)) _logger.ConnectionClosed(CloseReasons.Label(reason), PeerAddress.Of(_socket.Fd));
        if (reason == CloseReason.WriteTimeout) _socket.ResetOnClose();
        _socket.Close();
        _loop.Connections--;
        _loop.Context.Counters.CountClose(reason);
        _limit.Leave();
    }
}

/// <summary>What a connection is waiting for, and so what its one deadline means.</summary>
internal enum DeadlineKind : byte
{
    None,

    /// <summary>The next request; silence is no fault.</summary>
    Idle,

    /// <summary>The rest of a request's head, counted from its first byte.</summary>
    Head,

    /// <summary>Content, at a minimum rate.</summary>
    Body,

    /// <summary>Progress between this edge and the gateway of a push.</summary>
    Gateway,

    /// <summary>Room in the client's window for an answer.</summary>
    Write,

    /// <summary>The client's end of a connection that is answered and half-closed.</summary>
    Linger,

    /// <summary>The server's stop: idle connections end at once.</summary>
    Drain,

    /// <summary>The server's stop has run out of time.</summary>
    Abort,
}
