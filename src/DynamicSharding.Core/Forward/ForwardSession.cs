using System.Runtime.InteropServices;
using System.Text.Unicode;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Forward;

/// <summary>
/// The forward listener's side of a connection: a push goes to its owner, and the owner's response to the client. Everything else is
/// answered as on the redirect listener. One push at a time; a state machine that the connection drives with the client's bytes, and
/// that wakes the connection when the gateway's is ready.
/// </summary>
/// <remarks>
/// Content of up to 64 KiB is here before anything is sent, so that it can be sent again; what is longer is streamed, on a fresh connection.
/// No other gateway is tried than the owner: a copy there would turn stale.
/// </remarks>
internal sealed class ForwardSession(Connection connection, ForwardLoop forward) : HttpSession(forward.Counters.Requests)
{
    /// <summary>Content up to here is collected, and may be sent again.</summary>
    private const int MaxReplay = 64 * 1024;

    /// <summary>A kept connection that the gateway was closing ends at once. What ends later was with the gateway, which may have taken it.</summary>
    private const long ReplayMilliseconds = 1000;

    /// <summary>Two lost SYNs (after one and three seconds) still connect.</summary>
    private const long ConnectMilliseconds = 5000;

    /// <summary>After so many the other connections of the loop have their turn: 768 KiB.</summary>
    private const int FullReceivesPerTurn = 16;

    private readonly RequestStage _request = new(connection.Loop);
    private readonly ResponseRelay _response = new(connection.Loop);
    private Phase _phase;
    private ForwardOptions _options = null!;
    private UpstreamPool _pool = null!;
    private Upstream? _upstream;
    private EndpointList? _endpoints;
    private int _firstEndpoint;

    /// <summary>Addresses that were tried.</summary>
    private int _endpointIndex;
    private string? _connectError;
    private int _pushNumber;
    private int _fullReceives;
    private Action? _wake;
    private long _began;
    private long _progressAt;
    private long _sentAt;
    private long _content;
    private bool _isChunked;
    private bool _isStreamed;
    private bool _isReplayed;
    private bool _holdsPlace;

    /// <summary>The place goes to what is left of the push at its gateway.</summary>
    private bool _holdsPlaceTaken;
    private bool _persist;
    private bool _isHttp10;
    private bool _timedOut;
    private bool _wantsContent;

    /// <summary>The next step needs no event. A wake alone would be lost while the connection waits for room for the response.</summary>
    private bool _isDue;

    private enum Phase : byte
    {
        None,

        /// <summary>Content of up to 64 KiB comes in.</summary>
        Collecting,
        Resolving,
        Connecting,

        /// <summary>The request goes out; of content that is streamed, more may still come in.</summary>
        Sending,
        Responding,
    }

    public override bool WaitsForGateway => (_phase > Phase.Collecting && !_wantsContent) || WaitsForVerdict;

    public override long GatewayDeadline =>
        _phase == Phase.None ? long.MaxValue : _progressAt + (_phase is Phase.Resolving or Phase.Connecting ? ConnectMilliseconds : (long)_options.Timeout.TotalMilliseconds);

    public override bool Forwards => true;

    /// <summary>An event that says no more than that bytes can be sent matters.</summary>
    public bool AwaitsRoom => _phase is Phase.Connecting or Phase.Sending;

    public override bool HasGatewayEvent => _isDue || _upstream is { HasEvent: true };

    private EventLoop Loop => connection.Loop;

    private ForwardGatewayCounters Gateway => _pool.Target.Counters;

    private ConnectionOption KeptOption => !_persist ? ConnectionOption.Close : _isHttp10 ? ConnectionOption.KeepAlive : ConnectionOption.None;

    public override TimeSpan ContentTimeout(LimitOptions limits) =>
        InPush && _options.Timeout < limits.IdleTimeout ? _options.Timeout : limits.IdleTimeout;

    /// <summary>The gateway's connection has something to tell.</summary>
    public void OnUpstreamReady() => connection.Wake();

    public override void OnGatewayTimeout() => _timedOut = true;

    public override void Reset()
    {
        base.Reset();
        _request.Return();
        _response.Reset();
        _phase = Phase.None;
        _options = null!;
        _pool = null!;
        _upstream = null;
        _endpoints = null;
        _endpointIndex = 0;
        _connectError = null;
        _began = _progressAt = _sentAt = _content = 0;
        _isChunked = _isStreamed = _isReplayed = _holdsPlace = _holdsPlaceTaken = _persist = _isHttp10 = _timedOut = _wantsContent = _isDue = false;
    }

    private protected override SessionStep BeginPush(
        ReadOnlySpan<byte> input, in Route route, SessionContext context, ref ResponseWriter writer, ref int consumed)
    {
        ReadOnlySpan<byte> head = input[consumed..];
        ReadOnlySpan<byte> fields = head[_parser.FieldsStart.._parser.HeadLength];
        _options = forward.Plane.Settings.Options;
        _pool = forward.PoolOf(route.Owner!);
        _persist = _parser.KeepAlive && !context.Draining;
        _isHttp10 = _parser.IsHttp10;
        _response.Begin(_isHttp10);
        _began = Loop.BatchStart;
        bool nothingUnread = head.Length == _parser.HeadLength;
        if (RefusalOf(fields) is { } refusal)
        {
            _persist &= refusal == ForwardRejectReason.TooManyInFlight && MayPersist(route, context);
            WriteRefusal(refusal, ref writer);
            consumed += _parser.HeadLength;
            return EndResponse(_persist, nothingUnread);
        }

        int contentRoom = (int)Math.Min(Math.Min(_parser.ContentLength, MaxReplay), head.Length - _parser.HeadLength);
        StageHead(route, fields, hasUsers: context.Authorize is not null, contentRoom);
        bool continues = _parser.ExpectContinue && nothingUnread;
        consumed += _parser.HeadLength;
        _isStreamed = _parser.ContentLength > MaxReplay;
        BeginBody();
        InPush = true;
        _phase = Phase.Collecting;
        _pushNumber++;
        if (_isStreamed && !_isChunked && !TryTakePlace(ref writer)) return SkipRest(persist: false, nothingUnread);
        if (continues) writer.Write("HTTP/1.1 100 Continue\r\n\r\n"u8);
        return _isStreamed ? BeginSend(input, ref writer, ref consumed) : Collect(input, ref writer, ref consumed);
    }

    private protected override SessionStep ContinuePush(
        ReadOnlySpan<byte> input, SessionContext context, ref ResponseWriter writer, ref int consumed)
    {
        _isDue = false;
        if (_timedOut)
        {
            _timedOut = false;
            return EndTimedOut(input, ref writer, ref consumed);
        }

        bool isReady = _upstream?.TakeEvent() ?? false;
        switch (_phase)
        {
            case Phase.Collecting:
                return Collect(input, ref writer, ref consumed);
            case Phase.Resolving:
                return Connect(input, ref writer, ref consumed);
            case Phase.Connecting:
                if (!isReady) return SessionStep.Wait;
                _connectError = _upstream!.Advance();
                if (_connectError is null) return _upstream.IsConnecting ? SessionStep.Wait : BeginSending(input, ref writer, ref consumed);
                return ConnectNext(input, ref writer, ref consumed);
            case Phase.Sending:
                // A gateway may respond before it has all of the content, whose rest has no reader then.
                if (isReady && TryReceiveEarly(ref writer, out SessionStep early)) return early;
                return Send(input, ref writer, ref consumed);
            default:
                return Receive(ref writer);
        }
    }

    public override int EndPush(PushEnd end, SessionContext context, Span<byte> output)
    {
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

    /// <param name="hasUsers">The client's Authorization is for this edge, not for the gateways.</param>
    /// <param name="contentRoom">For the content that is here: what a head announces and does not bring takes no memory.</param>
    private void StageHead(in Route route, ReadOnlySpan<byte> fields, bool hasUsers, int contentRoom)
    {
        ReadOnlySpan<byte> method = _parser.Method switch
        {
            RequestMethod.Put => "PUT"u8,
            RequestMethod.Post => "POST"u8,
            _ => "DELETE"u8,
        };
        _isChunked = _parser.Framing == BodyFraming.Chunked;
        byte[] more = Loop.RentBuffer(fields.Length + 256);
        int length = forward.Plane.WriteOwnFields(more, _options.XForwardedFor ? connection.Peer : null, fields);
        byte[]? authorization = forward.Plane.Authorization;
        RelayDirection direction = authorization is null && !hasUsers ? RelayDirection.Request : RelayDirection.WithoutAuthorization;
        if (_options.XForwardedFor) direction |= RelayDirection.WithoutForwardedFor;
        _request.StageHead(method, _pool.Target, route, fields, _parser.NamesFields, direction, authorization, more.AsSpan(0, length), contentRoom);
        Loop.ReturnBuffer(more);
        if (_isChunked) _request.ReserveFraming();
        else if (_parser.HasContentLength) _request.EndHead(_parser.ContentLength);
        else _request.EndHead();
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

    private SessionStep Collect(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        while (InBody)
        {
            if (consumed == input.Length) return SessionStep.Read;
            ParseStatus status = TakeContent(input, ref consumed, out ReadOnlySpan<byte> data);
            if (status == ParseStatus.Rejected) return RefuseContent(ForwardRejectReason.BrokenBody, ref writer);
            if (_content > _options.MaxBodyBytes) return RefuseContent(ForwardRejectReason.BodyTooLarge, ref writer);
            if (_content <= MaxReplay)
            {
                _request.Add(data);
                continue;
            }

            // Only chunks tell so late that they are many.
            if (!TryTakePlace(ref writer)) return SkipRest(persist: false, nothingUnread: consumed == input.Length);
            _isStreamed = true;
            _request.BeginChunks();
            AddChunk(data);
            return BeginSend(input, ref writer, ref consumed);
        }

        // All of it is here.
        if (!TryTakePlace(ref writer)) return SkipRest(_persist, nothingUnread: consumed == input.Length);
        if (_isChunked) _request.SetLength(_request.ContentLength);
        return BeginSend(input, ref writer, ref consumed);
    }

    private ParseStatus TakeContent(ReadOnlySpan<byte> input, ref int consumed, out ReadOnlySpan<byte> data)
    {
        ParseStatus status = TakeBody(input[consumed..], out int taken, out data);
        consumed += taken;
        _content += data.Length;
        return status;
    }

    private void AddChunk(ReadOnlySpan<byte> data)
    {
        _request.AddChunk(data);
        if (!InBody) _request.Add(RequestStage.LastChunk);
    }

    private SessionStep BeginSend(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        _progressAt = _sentAt = Loop.Now;
        if (!_isStreamed)
        {
            _upstream = _pool.TryTake(this);
            if (_upstream is not null) return BeginSending(input, ref writer, ref consumed);
        }

        return Connect(input, ref writer, ref consumed);
    }

    private SessionStep Connect(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        GatewayEndpoints endpoints = _pool.Target.Endpoints;
        if (_endpoints is null && endpoints.Current is { } current)
        {
            _endpoints = current;
            _firstEndpoint = current.First;
        }

        if (_endpoints is null)
        {
            if (_phase == Phase.Resolving && endpoints.Error is { } why) return Fail(502, "cannot be reached: ", why, ref writer);
            if (_phase != Phase.Resolving) WaitForAddresses(endpoints);
            return SessionStep.Wait;
        }

        for (; _endpointIndex < _endpoints.Count; _endpointIndex++)
        {
            _upstream = _pool.Connect(_endpoints, (_firstEndpoint + _endpointIndex) % _endpoints.Count, this, out int error);
            if (_upstream is null)
            {
                _connectError = Marshal.GetPInvokeErrorMessage(error);
                continue;
            }

            if (!_upstream.IsConnecting) return BeginSending(input, ref writer, ref consumed);
            _phase = Phase.Connecting;
            return SessionStep.Wait;
        }

        return Fail(502, "cannot be reached: ", _connectError ?? "no address", ref writer);
    }

    private SessionStep ConnectNext(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        CloseUpstream();
        _endpointIndex++;
        _progressAt = Loop.Now;
        return Connect(input, ref writer, ref consumed);
    }

    private void WaitForAddresses(GatewayEndpoints endpoints)
    {
        _phase = Phase.Resolving;
        int push = _pushNumber;
        endpoints.WhenResolved(() => Loop.Post(() =>
        {
            if (_phase != Phase.Resolving || push != _pushNumber) return;
            _isDue = true;
            connection.Wake();
        }));
    }

    private SessionStep BeginSending(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        _phase = Phase.Sending;
        _sentAt = _progressAt = Loop.Now;
        _upstream!.OnConnected();
        return Send(input, ref writer, ref consumed);
    }

    private SessionStep Send(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        _wantsContent = false;
        while (true)
        {
            while (!_request.IsSent)
            {
                SocketResult sent = _upstream!.Socket.TrySend(_request.Unsent);
                if (sent.WouldBlock) return SessionStep.Wait;
                if (sent.Failed) return OnSendFailed(sent.Error, ref writer);
                _request.OnSent(sent.Count);
                forward.Counters.CountSent(sent.Count);
                _progressAt = Loop.Now;
            }

            if (!InBody)
            {
                _phase = Phase.Responding;
                return SessionStep.Wait;
            }

            _request.Clear();
            if (consumed == input.Length)
            {
                _wantsContent = true;
                return SessionStep.Read;
            }

            // All that is here, so that a client's small chunks do not become as many system calls.
            while (InBody && consumed < input.Length)
            {
                ParseStatus status = TakeContent(input, ref consumed, out ReadOnlySpan<byte> data);
                if (status == ParseStatus.Rejected) return RefuseContent(ForwardRejectReason.BrokenBody, ref writer);
                if (_content > _options.MaxBodyBytes) return RefuseContent(ForwardRejectReason.BodyTooLarge, ref writer);
                if (_isChunked) AddChunk(data);
                else _request.Add(data);
            }
        }
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
            _pool.Return(_upstream!);
            _upstream = null;
        }

        _persist = _response.KeepsClient;
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
        if (_phase == Phase.Connecting && _endpointIndex + 1 < _endpoints!.Count && Loop.Now - _sentAt < (long)_options.Timeout.TotalMilliseconds)
            return ConnectNext(input, ref writer, ref consumed);
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
        _endpoints = null;
        _request.Return();
        _response.Reset();
        _endpointIndex = 0;
        _connectError = null;
        _content = 0;
        _holdsPlace = _holdsPlaceTaken = _isChunked = _isStreamed = _isReplayed = _wantsContent = _timedOut = _isDue = false;
        _phase = Phase.None;
        InPush = false;
        CountResponse();
        return SkipRest(_persist, nothingUnread: true);
    }
}
