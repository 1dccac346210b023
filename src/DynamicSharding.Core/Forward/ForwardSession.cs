using DynamicSharding.Config;
using DynamicSharding.Http;
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
internal sealed partial class ForwardSession(Connection connection, ForwardLoop forward) : HttpSession(forward.Counters.Requests)
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
    private UpstreamDial _dial;

    private int _pushNumber;
    private int _fullReceives;
    private Action? _wake;
    private RequestMethod _method;
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

    private bool HasTimeToConnect => Loop.Now - _sentAt < (long)_options.Timeout.TotalMilliseconds;

    private ForwardGatewayCounters Gateway => _pool.Target.Counters;

    private ReadOnlySpan<byte> MethodName => _method switch
    {
        RequestMethod.Put => "PUT"u8,
        RequestMethod.Post => "POST"u8,
        _ => "DELETE"u8,
    };

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
        _dial = default;
        _method = default;
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
        _method = _parser.Method;
        _response.Begin(_isHttp10);
        _began = Loop.BatchStart;
        bool nothingUnread = head.Length == _parser.HeadLength;
        if (RefusalOf(fields) is { } refusal)
        {
            _persist &= refusal == ForwardRejectReason.TooManyInFlight && MayPersist(route, context);
            context.Rejected.Set(head);
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
                if (_upstream!.Advance() is not { } why)
                {
                    if (_upstream.IsConnecting) return SessionStep.Wait;

                    // The name may have moved while this connected.
                    if (_upstream.LeadsTo(_pool.Target.Endpoints.Current)) return BeginSending(input, ref writer, ref consumed);
                    why = "its address has changed";
                }

                _dial.OnFailed(why);
                return ConnectNext(input, ref writer, ref consumed);
            case Phase.Sending:
                // A gateway may respond before it has all of the content, whose rest has no reader then.
                if (isReady && TryReceiveEarly(ref writer, out SessionStep early)) return early;
                return Send(input, ref writer, ref consumed);
            default:
                return Receive(ref writer);
        }
    }

    /// <param name="hasUsers">The client's Authorization is for this edge, not for the gateways.</param>
    /// <param name="contentRoom">For the content that is here: what a head announces and does not bring takes no memory.</param>
    private void StageHead(in Route route, ReadOnlySpan<byte> fields, bool hasUsers, int contentRoom)
    {
        _isChunked = _parser.Framing == BodyFraming.Chunked;
        byte[] more = Loop.RentBuffer(fields.Length + 256);
        int length = forward.Plane.WriteOwnFields(more, _options.XForwardedFor ? connection.Peer : null, fields);
        byte[]? authorization = forward.Plane.Authorization;
        RelayDirection direction = authorization is null && !hasUsers ? RelayDirection.Request : RelayDirection.WithoutAuthorization;
        if (_options.XForwardedFor) direction |= RelayDirection.WithoutForwardedFor;
        _request.StageHead(MethodName, _pool.Target, route, fields, _parser.NamesFields, direction, authorization, more.AsSpan(0, length), contentRoom);
        Loop.ReturnBuffer(more);
        if (_isChunked) _request.ReserveFraming();
        else if (_parser.HasContentLength) _request.EndHead(_parser.ContentLength);
        else _request.EndHead();
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

        // The gateway may have left the ring while the content came in slowly: then nobody resolves its name any more.
        if (_pool.Target.IsRetired) _pool = forward.PoolOf(_pool.Gateway);
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
        if (!_dial.TryBegin(endpoints))
        {
            if (_phase == Phase.Resolving && endpoints.Error is { } why) return Fail(502, "cannot be reached: ", why, ref writer);
            if (_phase != Phase.Resolving) WaitForAddresses(endpoints);
            return SessionStep.Wait;
        }

        _upstream = _dial.Next(_pool, this);
        if (_upstream is null) return Fail(502, "cannot be reached: ", _dial.Error, ref writer);
        if (!_upstream.IsConnecting) return BeginSending(input, ref writer, ref consumed);
        _phase = Phase.Connecting;
        return SessionStep.Wait;
    }

    private SessionStep ConnectNext(ReadOnlySpan<byte> input, ref ResponseWriter writer, ref int consumed)
    {
        CloseUpstream();

        // A name that moves all the time would keep the push forever.
        if (_dial.HasMoved(_pool.Target.Endpoints) && !HasTimeToConnect) return Fail(502, "cannot be reached: ", _dial.Error, ref writer);
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
}
