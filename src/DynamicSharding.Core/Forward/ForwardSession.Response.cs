using System.Runtime.InteropServices;
using System.Text.Unicode;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Server;

namespace DynamicSharding.Forward;

/// <summary>The gateway's response, and every other end that a push can have.</summary>
internal sealed partial class ForwardSession
{
    public override int EndPush(PushEnd end, SessionContext context, Span<byte> output)
    {
        context.Rejects.Clear();
        var writer = new ResponseWriter(output, context.Date.Bytes);
        ForwardRejectReason refusal = end == PushEnd.BodyTimeout ? ForwardRejectReason.BodyTimeout : ForwardRejectReason.BrokenBody;
        return RefuseContent(refusal, ref writer) == SessionStep.Reset ? -1 : writer.Written;
    }

    public override void End()
    {
        base.End();
        if (!InPush) return;

        // The client is gone, or a stop is out of time.
        LeaveUpstream();
        _ = Finish(ForwardGatewayCounters.Aborted);
    }

    private ForwardRejectReason? RefusalOf(ReadOnlySpan<byte> fields)
    {
        if (RelayedHead.Contains(fields, "via"u8, forward.Plane.Pseudonym)) return ForwardRejectReason.Loop;
        if (_parser.ContentLength > _options.MaxBodyBytes) return ForwardRejectReason.BodyTooLarge;

        // Asked before any content is taken, and again when it is here: content of up to 64 KiB that a slow client sends takes no place.
        return Gateway.InFlight >= _options.MaxInFlight ? ForwardRejectReason.TooManyInFlight : null;
    }

    /// <returns>False when the gateway has too many pushes in flight: the push is over.</returns>
    private bool TryTakePlace(ref ResponseWriter writer)
    {
        _holdsPlace = Gateway.TryEnter(_options.MaxInFlight);
        if (_holdsPlace) return true;
        _persist &= !InBody;
        WriteRefusal(ForwardRejectReason.TooManyInFlight, ref writer);
        _ = Finish(503);
        return false;
    }

    /// <returns>False when the push goes on as before.</returns>
    private bool TryReceiveEarly(ref ResponseWriter writer, out SessionStep step)
    {
        bool wasReplayed = _isReplayed;
        step = Receive(ref writer);
        if (InPush && _isReplayed != wasReplayed) return true;
        if (InPush && !_response.HasHead) return false;
        _wantsContent = false;
        if (InPush) _phase = Phase.Responding;
        return true;
    }

    private SessionStep Receive(ref ResponseWriter writer)
    {
        Span<byte> buffer = forward.ResponseBuffer;
        int kept = _response.Restore(buffer);
        SocketResult received = _upstream!.Socket.TryReceive(buffer[kept..]);
        if (received.WouldBlock) return SessionStep.Wait;
        if (received.Count == 0) return OnUpstreamEnd(received.Error, ref writer);
        _progressAt = Loop.Now;
        forward.Counters.CountReceived(received.Count);
        int left = _response.Take(buffer[..(kept + received.Count)], _persist && !InBody && !Loop.Context.Draining, ref writer);
        if (_response.Fault is { } fault)
            return _response.HasHead ? Broken(fault) : Fail(502, "sent no complete response: ", fault, ref writer);

        // Fewer bytes than there was room for are all that there were, but an end that came with them is no event of its own.
        bool isFull = received.Count == buffer.Length - kept;
        if (_response.IsComplete) return Complete(canKeep: left == 0 && !isFull && !_upstream.HasEnded);
        if (!isFull) return _upstream.HasEnded ? SessionStep.Flush : SessionStep.Wait;
        if (++_fullReceives % FullReceivesPerTurn != 0) return SessionStep.Flush;

        // A long response to a fast client must not keep the loop from its other connections.
        Loop.Post(_wake ??= () =>
        {
            if (_phase != Phase.Responding) return;
            _isDue = true;
            connection.Wake();
        });
        return SessionStep.Wait;
    }

    private SessionStep Complete(bool canKeep)
    {
        if (canKeep && _response.KeepsUpstream && !InBody && _request.IsSent)
        {
            _pool.Return(_upstream!, _response.UpstreamTimeout);
            _upstream = null;
        }

        _persist = _response.KeepsClient;

        // What the owner has accepted is to be done on the gateways that still have an older copy.
        if (_method == RequestMethod.Delete && _response.Status is >= 200 and < 300)
            Loop.Context.Deletes?.Add(_request.Path, _pool.Gateway, forward.Plane.Time.GetElapsedTime(_began), isAccepted: true);
        return Finish(_response.Status);
    }

    /// <summary>A gateway that closes without reading everything may have responded before.</summary>
    private SessionStep OnSendFailed(int error, ref ResponseWriter writer)
    {
        // It may be as long as the output has room, which responses to earlier requests may have taken.
        if (writer.Written > 0) return SessionStep.Flush;
        bool wasReplayed = _isReplayed;
        SessionStep step = Receive(ref writer);
        if (!InPush || _isReplayed != wasReplayed) return step;
        if (!_response.HasHead) return step == SessionStep.Wait ? OnUpstreamEnd(error, ref writer) : step;
        _phase = Phase.Responding;
        return step;
    }

    /// <summary>The gateway has closed its connection, or it has failed.</summary>
    /// <param name="error">The errno; 0 for a regular end.</param>
    private SessionStep OnUpstreamEnd(int error, ref ResponseWriter writer)
    {
        string why = error == 0 ? "the connection was closed before a response" : Marshal.GetPInvokeErrorMessage(error);
        if (error == 0 && _response.TryEnd(ref writer)) return Complete(canKeep: false);
        if (_response.HasHead) return Broken(why);
        if (!MayReplay()) return Fail(502, "sent no complete response: ", why, ref writer);
        Gateway.CountReplay();
        _isReplayed = true;
        CloseUpstream();
        _request.Rewind();
        int none = 0;
        return Connect(default, ref writer, ref none);
    }

    /// <summary>
    /// Once, and only what met a kept connection that the gateway was closing, while the client is there to hear of it: one that has gone may
    /// have sent a newer push by now, and the older one must not come after it.
    /// </summary>
    private bool MayReplay() =>
        !_isStreamed && !_isReplayed && !_response.HasBegun && _upstream!.IsReused && Loop.Now - _sentAt <= ReplayMilliseconds && connection.IsFullyOpen();

    private SessionStep EndTimedOut(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        string timeout = DurationText.Format(_options.Timeout);
        if (_response.HasHead) return Broken($"no progress for {timeout} (forward.timeout)");
        if (_phase == Phase.Connecting && _dial.HasMore(_pool.Target.Endpoints) && HasTimeToConnect) return ConnectNext(input, ref writer, ref consumed);
        if (_phase is Phase.Resolving or Phase.Connecting) return Fail(502, "cannot be reached: ", "no connection in time", ref writer);
        return Fail(504, "sent no response ", $"within {timeout} (forward.timeout)", ref writer);
    }

    /// <param name="what">With what stands between it and the reason.</param>
    private SessionStep Fail(int status, string what, string why, ref ResponseWriter writer)
    {
        string address = _pool.Gateway.Address;
        Span<byte> text = stackalloc byte[768];
        if (!Utf8.TryWrite(text, $"pushgateway {address} {what}{why}\n", out int length)) "\n"u8.CopyTo(text[^1..]);
        if (forward.Plane.Logger.IsEnabled(Microsoft.Extensions.Logging.LogLevel.Debug)) forward.Plane.Logger.PushNotForwarded(address, status, $"pushgateway {address} {what}{why}");
        _persist &= !InBody && !Loop.Context.Draining;
        ReadOnlySpan<byte> statusLine = status == 504 ? "HTTP/1.1 504 Gateway Timeout"u8 : "HTTP/1.1 502 Bad Gateway"u8;
        writer.WriteStatus(statusLine, default, text[..length], KeptOption);
        LeaveUpstream();
        return Finish(status);
    }

    private SessionStep Broken(string why)
    {
        forward.Plane.Logger.ResponseTruncated(_pool.Gateway.Address, why);
        LeaveUpstream();
        _ = Finish(ForwardGatewayCounters.Broken);
        return SessionStep.Reset;
    }

    /// <summary>The content is at fault, which the gateway may have a part of.</summary>
    private SessionStep RefuseContent(ForwardRejectReason refusal, ref ResponseWriter writer)
    {
        bool hasHead = _response.HasHead;
        _persist = false;
        if (!hasHead) WriteRefusal(refusal, ref writer);
        LeaveUpstream();
        SessionStep step = Finish(ForwardRejectReasons.Status(refusal));
        if (hasHead) return SessionStep.Reset;
        return refusal == ForwardRejectReason.BrokenBody ? Break() : step;
    }

    private void WriteRefusal(ForwardRejectReason refusal, ref ResponseWriter writer)
    {
        forward.Counters.CountRefusal(refusal);

        // For the log of rejects. A push that is refused right after its head has no request to a gateway.
        if (InPush) Loop.Context.Rejected.Set(MethodName, _request.Path);
        Loop.Context.Rejects.Add(refusal);
        ForwardRefusal.Write(refusal, _pool.Gateway.Address, _options, KeptOption, ref writer);
        if (forward.Plane.Logger.IsEnabled(Microsoft.Extensions.Logging.LogLevel.Debug))
            forward.Plane.Logger.PushNotForwarded(_pool.Gateway.Address, ForwardRejectReasons.Status(refusal), ForwardRejectReasons.Label(refusal));
    }

    /// <summary>The push ends before its gateway has all of it. A Pushgateway may take the part that it has; so it gets what it cannot take.</summary>
    private void LeaveUpstream()
    {
        if (_upstream is null) return;
        bool isPart = _phase == Phase.Sending && (InBody || !_request.IsSent) && _request.IsHeadSent;
        ForwardGatewayCounters? place = _holdsPlace ? Gateway : null;
        if (!isPart) _upstream.Close();
        else if (_isChunked && _isStreamed) _upstream.SpoilChunks(InBody ? _request.Unsent : _request.UnsentChunks, place);
        else _upstream.Spoil(_request.Unsent.Length + (InBody ? ContentRemaining : 0), place);
        _holdsPlaceTaken = isPart && _holdsPlace;
        _upstream = null;
    }

    /// <summary>A closed one may serve another session at once.</summary>
    private void CloseUpstream()
    {
        _upstream?.Close();
        _upstream = null;
    }

    /// <summary>The push is over: nothing of it stays behind.</summary>
    private SessionStep Finish(int code)
    {
        if (_holdsPlace)
        {
            if (!_holdsPlaceTaken) Gateway.Leave();
            Gateway.CountCode(forward.Index, code);
            forward.Counters.Observe(forward.Plane.Time.GetElapsedTime(_began));
        }

        CloseUpstream();
        _dial = default;
        _request.Return();
        _response.Reset();
        _content = 0;
        _holdsPlace = _holdsPlaceTaken = _isChunked = _isStreamed = _isReplayed = _wantsContent = _timedOut = _isDue = false;
        _phase = Phase.None;
        InPush = false;
        CountResponse();
        return SkipRest(_persist, nothingUnread: true);
    }
}
