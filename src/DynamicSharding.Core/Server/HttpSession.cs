using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Server;

/// <summary>
/// The HTTP side of one connection, without its socket: responds to every complete request in the input, in order, skips the content, and
/// decides whether the connection persists.
/// </summary>
/// <param name="counters">Of the loop and the listener.</param>
internal class HttpSession(LoopCounters counters)
{
    private AuthVerdict _verdict;
    private int _verification;
    private bool _hasFailed;
    private protected RequestParser _parser;
    private RequestBody _body;
    private bool _lastResponseWritten;
    private bool _clientPersists;

    /// <summary>A head has begun and is incomplete: the header timeout runs.</summary>
    public bool InHead => !_body.IsPending && _parser.HasStarted;

    /// <summary>Content is being received: the minimum rate applies.</summary>
    public bool InBody => _body.IsPending;

    /// <summary>Bytes of the current request's content skipped so far.</summary>
    public long BodySkipped => _body.Taken;

    /// <summary>Responses written since the connection began.</summary>
    public long Requests { get; private set; }

    /// <summary>How many of the next bytes are known to be content; a request may follow them.</summary>
    public long ContentAhead => _body.Ahead;

    /// <summary>Pushes are forwarded, not redirected.</summary>
    public virtual bool Forwards => false;

    /// <summary>A push is under way whose response is not complete: its content comes next, or its gateway's response.</summary>
    public bool InPush { get; private protected set; }

    /// <summary>The push waits for its gateway: nothing of the client is read, and <see cref="Advance"/> is called without input when the connection wakes.</summary>
    public virtual bool WaitsForGateway => WaitsForVerdict;

    /// <summary>The credentials of a request are being verified.</summary>
    private protected bool WaitsForVerdict => _verdict == AuthVerdict.Pending;

    /// <summary>The connection that is woken by a verdict.</summary>
    public Connection? Owner { get; init; }

    /// <summary>The gateway's connection had an event that the session has not seen yet: <see cref="Advance"/> is called before any wait.</summary>
    public virtual bool HasGatewayEvent => false;

    /// <summary>When the gateway has been silent for too long, on the loop's clock.</summary>
    public virtual long GatewayDeadline => long.MaxValue;

    /// <summary>The client broke the framing, so the connection ends.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Before the first byte of another client: nothing of the one before is left.</summary>
    public virtual void Reset()
    {
        _verdict = AuthVerdict.None;
        _hasFailed = false;
        _parser = default;
        _body = default;
        Requests = 0;
        _lastResponseWritten = _clientPersists = false;
        InPush = IsBroken = false;
    }

    /// <param name="consumed">How many bytes of the input are no longer needed.</param>
    /// <param name="written">How many bytes of the output to send.</param>
    public SessionStep Advance(ReadOnlySpan<byte> input, SessionContext context, Span<byte> output, out int consumed, out int written)
    {
        consumed = 0;
        written = 0;
        context.Rejects.Clear();
        if (WaitsForVerdict) return SessionStep.Wait;
        var writer = new ResponseWriter(output, context.Date.Bytes);
        SessionStep step;
        int before;
        do
        {
            before = consumed;
            step = InPush ? ContinuePush(input, context, ref writer, ref consumed)
                : InBody ? SkipBody(input, context, ref consumed)
                : HandleNext(input, context, output.Length, ref writer, ref consumed);
        }
        while (step == SessionStep.Read && consumed < input.Length && consumed > before);

        written = writer.Written;
        return step;
    }

    /// <summary>Writes 408, after which the connection closes.</summary>
    public int WriteHeaderTimeout(SessionContext context, Span<byte> output)
    {
        context.Rejects.Clear();
        context.Rejected.Clear();
        var writer = new ResponseWriter(output, context.Date.Bytes);
        Reject(RejectReason.HeaderTimeout, default, ConnectionOption.Close, context, ref writer);
        return writer.Written;
    }

    private SessionStep HandleNext(
        ReadOnlySpan<byte> input, SessionContext context, int room, ref ResponseWriter writer, ref int consumed)
    {
        if (room - writer.Written < context.MaxResponse) return SessionStep.Flush;

        ReadOnlySpan<byte> rest = input[consumed..];
        ParseStatus status = _parser.Parse(rest, context.ParserLimits);
        if (status == ParseStatus.NeedMore) return SessionStep.Read;
        if (status == ParseStatus.Rejected)
        {
            consumed = input.Length;
            IsBroken = true;
            context.Rejected.Set(rest);
            RejectReason reason = ProxyHeader.IsLikely(rest) ? RejectReason.UnexpectedProxyHeader : _parser.Reason;
            Reject(reason, default, ConnectionOption.Close, context, ref writer);
            return SessionStep.Linger;
        }

        ReadOnlySpan<byte> target = rest.Slice(_parser.TargetStart, _parser.TargetLength);
        context.Router.Resolve(_parser.Method, target, out Route route);
        if (!IsOpen(route.Kind) && Authorize(context, rest[_parser.FieldsStart.._parser.HeadLength]) is not AuthVerdict.Allowed and var verdict)
        {
            if (verdict == AuthVerdict.Pending)
            {
                // The head is parsed again when the verdict is known.
                _parser = default;
                return SessionStep.Wait;
            }

            route = default;
            route.Reason = verdict switch
            {
                AuthVerdict.Busy => RejectReason.AuthenticationBusy,
                AuthVerdict.Wrong => RejectReason.WrongCredentials,
                _ => RejectReason.Unauthorized,
            };
        }

        if (route.Kind == RouteKind.Reject) context.Rejected.Set(rest);
        bool persist = MayPersist(route, context);
        if (Forwards && route.Kind == RouteKind.Redirect) return BeginPush(input, route, context, ref writer, ref consumed);
        Write(route, OptionFor(persist), context, ref writer);
        consumed += _parser.HeadLength;
        return EndResponse(persist, consumed == input.Length);
    }

    /// <summary>Load balancers have no password.</summary>
    private static bool IsOpen(RouteKind kind) => kind is RouteKind.Healthy or RouteKind.Ready or RouteKind.NotReady or RouteKind.Liveness;

    private AuthVerdict Authorize(SessionContext context, ReadOnlySpan<byte> fields)
    {
        AuthVerdict known = _verdict;
        _verdict = AuthVerdict.None;
        if (context.Authorize is not { } check) return AuthVerdict.Allowed;

        // Asked again after a verification that succeeded: a reload may have removed the user since.
        _hasFailed |= known == AuthVerdict.Wrong;
        if (known is AuthVerdict.Wrong or AuthVerdict.Busy) return known;
        ReadOnlySpan<byte> field = FieldLine.ValueOf(fields, "authorization"u8);
        AuthVerdict verdict = check(field, client: null, hasFailed: false, whenKnown: null);
        return verdict == AuthVerdict.Pending ? BeginVerification(check, field) : verdict;
    }

    /// <summary>Apart from the common case, which allocates nothing.</summary>
    private AuthVerdict BeginVerification(CheckCredentials check, ReadOnlySpan<byte> field)
    {
        // The verdict may come when this session has ended, or serves another connection.
        int verification = ++_verification;
        Connection owner = Owner!;
        AuthVerdict verdict = check(field, owner.Peer, _hasFailed, verdict => owner.Loop.Post(() =>
        {
            if (verification != _verification || !WaitsForVerdict) return;
            _verdict = verdict;
            owner.Wake();
        }));
        if (verdict == AuthVerdict.Pending) _verdict = verdict;
        return verdict;
    }

    private protected ConnectionOption OptionFor(bool persist) => !persist ? ConnectionOption.Close
        : _parser.IsHttp10 ? ConnectionOption.KeepAlive : ConnectionOption.None;

    /// <summary>The response to a head is written and the head is consumed: its content is skipped.</summary>
    private protected SessionStep EndResponse(bool persist, bool nothingUnread)
    {
        BeginBody();
        return SkipRest(persist, nothingUnread);
    }

    /// <summary>The head is consumed: its content comes next.</summary>
    private protected void BeginBody()
    {
        _clientPersists = _parser.KeepAlive;
        _body = new RequestBody(_parser.Framing, _parser.ContentLength);
        _parser = default;
    }

    private protected SessionStep SkipRest(bool persist, bool nothingUnread)
    {
        _lastResponseWritten = !persist;
        if (persist) return SessionStep.Read;
        if (!InBody) return CloseOrLinger(nothingUnread);

        // Skip the content received so far: if it is complete, the connection may close without lingering. If it is malformed, that is logged.
        return nothingUnread ? SessionStep.Linger : SessionStep.Read;
    }

    /// <summary>How long content may pause.</summary>
    public virtual TimeSpan ContentTimeout(LimitOptions limits) => limits.IdleTimeout;

    /// <summary><see cref="GatewayDeadline"/> has passed; <see cref="Advance"/> is called next.</summary>
    public virtual void OnGatewayTimeout()
    {
    }

    /// <summary>The content of a push does not arrive.</summary>
    /// <returns>Bytes of the last response in the output; negative when the connection must be reset.</returns>
    public virtual int EndPush(PushEnd end, SessionContext context, Span<byte> output) => 0;

    /// <summary>The connection ends: nothing of it stays at its gateway.</summary>
    public virtual void End()
    {
        _verification++;
        _verdict = AuthVerdict.None;
    }

    /// <param name="input">The head, which is parsed, begins after what is consumed.</param>
    private protected virtual SessionStep BeginPush(
        ReadOnlySpan<byte> input, in Route route, SessionContext context, ref ResponseWriter writer, ref int consumed) => throw new NotSupportedException();

    private protected virtual SessionStep ContinuePush(
        ReadOnlySpan<byte> input, SessionContext context, ref ResponseWriter writer, ref int consumed) => throw new NotSupportedException();

    /// <inheritdoc cref="RequestBody.Take"/>
    private protected ParseStatus TakeBody(ReadOnlySpan<byte> input, out int consumed, out ReadOnlySpan<byte> data) =>
        _body.Take(input, out consumed, out data);

    /// <summary>
    /// A connection persists only if all content is read (RFC 9112 9.3). After an early final response to "Expect: 100-continue" the client may or
    /// may not send the content (RFC 9110 10.1.1), and the bytes do not tell which: such a connection always ends, so that the response does not
    /// depend on TCP segments. Bytes behind a refused CONNECT may belong to the tunnel. Content of a GET or HEAD has no meaning (RFC 9110 9.3.1):
    /// a proxy may reuse the connection for another client after the response, and an error in that content would lose that client's request.
    /// </summary>
    private protected bool MayPersist(in Route route, SessionContext context)
    {
        if (!_parser.KeepAlive || _parser.ExpectContinue || context.Draining || _parser.Method == RequestMethod.Connect) return false;
        if (route.Kind == RouteKind.Reject && RejectReasons.Status(route.Reason) is not (401 or 404 or 405 or 503)) return false;
        if (_parser.Framing != BodyFraming.None && _parser.Method is (RequestMethod.Get or RequestMethod.Head)) return false;
        return _parser.Framing != BodyFraming.ContentLength || _parser.ContentLength <= context.Limits.BodySkipBytes;
    }

    private SessionStep SkipBody(ReadOnlySpan<byte> input, SessionContext context, ref int consumed)
    {
        ParseStatus status = _body.Skip(input[consumed..], out int skipped);
        consumed += skipped;
        if (status == ParseStatus.Rejected)
        {
            // The response was written after the head; nothing behind it may be read as a request.
            counters.CountReject(RejectReason.BadChunk);
            context.Rejects.Add(RejectReason.BadChunk);
            context.Rejected.Clear();
            consumed = input.Length;
            return Break();
        }

        if (BodySkipped > context.Limits.BodySkipBytes) return SessionStep.Linger;
        if (!_lastResponseWritten) return SessionStep.Read;
        return status == ParseStatus.Done ? CloseOrLinger(consumed == input.Length) : SessionStep.Linger;
    }

    private protected SessionStep Break()
    {
        IsBroken = true;
        return SessionStep.Linger;
    }

    /// <summary>Bytes of content that were announced and have not arrived.</summary>
    private protected long ContentRemaining => _body.Remaining;

    private protected void CountResponse() => Requests++;

    /// <summary>
    /// A client that asked to close sends nothing more. Any other may already have sent its next request, and closing would reset the connection,
    /// which can destroy the last response (RFC 9112 9.6).
    /// </summary>
    private SessionStep CloseOrLinger(bool nothingUnread) => nothingUnread && !_clientPersists ? SessionStep.Close : SessionStep.Linger;

    private void Write(in Route route, ConnectionOption option, SessionContext context, ref ResponseWriter writer)
    {
        RequestMethod method = _parser.Method;
        bool isHead = method == RequestMethod.Head;
        int status = StatusIndex.Ok;
        switch (route.Kind)
        {
            case RouteKind.Redirect:
                status = StatusIndex.TemporaryRedirect;
                writer.WriteRedirect(route.Owner!.RedirectHead, route.Path, route.Query, option);
                route.Owner.Redirects.Increment(context.LoopIndex);
                if (method == RequestMethod.Delete && context.NotesRedirectedDeletes) context.Deletes?.Add(route.Path, route.Owner, TimeSpan.Zero, isAccepted: false);
                break;
            case RouteKind.NextUrl:
                writer.WriteText("nextUrl:"u8, route.Owner!.LocationPrefix, route.Path, isHead, option);
                break;
            case RouteKind.Liveness:
                writer.WriteText("Hello, I'm pgw gateway+ (｡A｡)"u8, default, default, isHead, option);
                break;
            case RouteKind.Healthy or RouteKind.Ready:
                writer.WriteText("OK\n"u8, default, default, isHead, option);
                break;
            case RouteKind.NotReady:
                status = StatusIndex.ServiceUnavailable;
                writer.WriteUnavailable(route.Text, isHead, option);
                break;
            default:
                Reject(route.Reason, route.Text, option, context, ref writer);
                return;
        }

        Requests++;
        counters.CountRequest(method, status);
    }

    private void Reject(
        RejectReason reason, ReadOnlySpan<byte> allow, ConnectionOption option, SessionContext context, ref ResponseWriter writer)
    {
        // The method is unknown until the request line is complete.
        RequestMethod method = _parser.InRequestLine ? RequestMethod.Unknown : _parser.Method;
        writer.WriteReject(reason, allow, method == RequestMethod.Head, option);
        Requests++;
        context.Rejects.Add(reason);
        counters.CountReject(reason);
        counters.CountRequest(method, StatusIndex.Of(RejectReasons.Status(reason)));
    }
}
