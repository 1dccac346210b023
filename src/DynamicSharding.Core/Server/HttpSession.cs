using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Server;

/// <summary>
/// The HTTP side of one connection without its socket: from bytes received to bytes to send. Answers every complete request in the input,
/// in order, skips their content by its framing, and decides whether the connection may go on.
/// </summary>
/// <param name="counters">Of the loop and the listener.</param>
internal class HttpSession(LoopCounters counters)
{
    private readonly LoopCounters _counters = counters;
    private protected RequestParser _parser;
    private ChunkedBodySkipper _chunks;
    private BodyFraming _body;
    private long _bodyRemaining;
    private bool _lastAnswered;
    private bool _clientPersists;

    public LoopCounters Counters => _counters;

    /// <summary>A request has begun and its head is not complete: the header timeout runs.</summary>
    public bool InHead => _body == BodyFraming.None && _parser.HasStarted;

    /// <summary>A request's content is on its way: the minimum rate applies.</summary>
    public bool InBody => _body != BodyFraming.None;

    /// <summary>Bytes of the current request's content that were skipped so far.</summary>
    public long BodySkipped { get; private set; }

    /// <summary>Requests answered since the connection began.</summary>
    public long Requests { get; private set; }

    /// <summary>Bytes of content that are known to come next; what follows them may be a request.</summary>
    public long ContentAhead => _body switch
    {
        BodyFraming.None => 0,
        BodyFraming.ContentLength => _bodyRemaining,
        _ => _chunks.DataAhead,
    };

    /// <summary>A push is under way that is not answered yet: what comes next is its content, or its gateway's response.</summary>
    public bool InPush { get; private protected set; }

    /// <summary>
    /// The push waits for its gateway, and nothing of the client is read: <see cref="Advance"/> is called without input when the connection is
    /// woken.
    /// </summary>
    public virtual bool WaitsForGateway => false;

    /// <summary>When a wait for the gateway has been too long, on the loop's clock.</summary>
    public virtual long GatewayDeadline => long.MaxValue;

    /// <summary>How long content may keep silent.</summary>
    public virtual TimeSpan ContentTimeout(LimitOptions limits) => limits.IdleTimeout;

    /// <summary>The framing cannot be trusted any more: the connection ends because of what the client sent.</summary>
    public bool IsBroken { get; private set; }

    /// <param name="consumed">How many bytes of the input will not be needed again.</param>
    /// <param name="written">How many bytes of the output are to be sent.</param>
    public SessionStep Advance(ReadOnlySpan<byte> input, SessionContext context, Span<byte> output, out int consumed, out int written)
    {
        consumed = 0;
        context.Rejects.Clear();
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

    /// <summary>A request whose head did not arrive in time. The connection closes after it.</summary>
    public int WriteHeaderTimeout(SessionContext context, Span<byte> output)
    {
        context.Rejects.Clear();
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
            Reject(_parser.Reason, default, ConnectionOption.Close, context, ref writer);
            return SessionStep.Linger;
        }

        ReadOnlySpan<byte> target = rest.Slice(_parser.TargetStart, _parser.TargetLength);
        context.Router.Respond(_parser.Method, target, out Route route);
        bool persist = MayPersist(route, context);
        if (route.Kind == RouteKind.Redirect && TakesPushes) return BeginPush(input, route, context, ref writer, ref consumed);
        Write(route, Option(persist), context, ref writer);
        consumed += _parser.HeadLength;
        return AfterResponse(persist, consumed == input.Length);
    }

    /// <summary>What a response says of the connection.</summary>
    private protected ConnectionOption Option(bool persist) => !persist ? ConnectionOption.Close
        : _parser.IsHttp10 ? ConnectionOption.KeepAlive : ConnectionOption.None;

    /// <summary>The response to a head is written, and the head is consumed: its content is skipped.</summary>
    private protected SessionStep AfterResponse(bool persist, bool nothingUnread)
    {
        _lastAnswered = !persist;
        BeginBody();
        _parser = default;
        if (!_lastAnswered) return SessionStep.Read;
        if (_body == BodyFraming.None) return CloseOrLinger(nothingUnread);

        // Content that is here is skipped first: where it ends, a close can do. It may be broken itself, which is another line in the log.
        return nothingUnread ? SessionStep.Linger : SessionStep.Read;
    }

    private protected void BeginBody()
    {
        _clientPersists = _parser.KeepAlive;
        _body = _parser.Framing;
        _bodyRemaining = _parser.ContentLength;
        BodySkipped = 0;
        _chunks = default;
    }

    /// <summary>A session that forwards pushes handles them itself.</summary>
    private protected virtual bool TakesPushes => false;

    /// <param name="input">The head, which is parsed, begins behind what is consumed.</param>
    private protected virtual SessionStep BeginPush(
        ReadOnlySpan<byte> input, in Route route, SessionContext context, ref ResponseWriter writer, ref int consumed) => throw new NotSupportedException();

    private protected virtual SessionStep ContinuePush(
        ReadOnlySpan<byte> input, SessionContext context, ref ResponseWriter writer, ref int consumed) => throw new NotSupportedException();

    /// <summary><see cref="GatewayDeadline"/> has passed; <see cref="Advance"/> is called next.</summary>
    public virtual void OnGatewayTimeout()
    {
    }

    /// <summary>A deadline has passed, or the client has closed its side, in the middle of a push.</summary>
    /// <returns>Bytes of a last response in the output.</returns>
    public virtual int EndPush(PushEnd end, SessionContext context, Span<byte> output) => 0;

    /// <summary>The connection ends. Nothing of it is left at its gateway.</summary>
    public virtual void End()
    {
    }

    /// <summary>The next piece of the current request's content.</summary>
    private protected ParseStatus TakeBody(ReadOnlySpan<byte> input, out int consumed, out ReadOnlySpan<byte> data)
    {
        ParseStatus status;
        if (_body == BodyFraming.Chunked)
        {
            status = _chunks.Next(input, out consumed, out data);
        }
        else
        {
            consumed = (int)Math.Min(_bodyRemaining, input.Length);
            data = input[..consumed];
            _bodyRemaining -= consumed;
            status = _bodyRemaining == 0 ? ParseStatus.Done : ParseStatus.NeedMore;
        }

        BodySkipped += consumed;
        if (status == ParseStatus.Done) _body = BodyFraming.None;
        return status;
    }

    /// <summary>The rest of a push's content is of no use any more: it is skipped, and the connection ends behind it.</summary>
    private protected SessionStep SkipRest(bool persist, bool nothingUnread)
    {
        _lastAnswered = !persist;
        if (persist) return SessionStep.Read;
        if (_body == BodyFraming.None) return CloseOrLinger(nothingUnread);
        return nothingUnread ? SessionStep.Linger : SessionStep.Read;
    }

    /// <summary>
    /// RFC 9112 9.3: a connection persists only if all of the content is read. After an early final answer to "Expect: 100-continue" the
    /// client may send the content or not (RFC 9110 10.1.1), and nothing in the bytes tells which: whatever part of it is here, such a
    /// connection ends, so that the answer does not depend on how the bytes were cut into segments. What follows a refused CONNECT may be
    /// meant for the tunnel, and is no request. Content of a GET or HEAD has no meaning (RFC 9110 9.3.1): a proxy may take the response for the
    /// end of the exchange and give the connection to another client, whose request an error in that content would lose.
    /// </summary>
    private protected virtual bool MayPersist(in Route route, SessionContext context)
    {
        if (!_parser.KeepAlive || _parser.ExpectContinue || context.Draining || _parser.Method == RequestMethod.Connect) return false;
        if (route.Kind == RouteKind.Reject && RejectReasons.Status(route.Reason) is not (404 or 405 or 503)) return false;
        if (_parser.Framing != BodyFraming.None && _parser.Method is (RequestMethod.Get or RequestMethod.Head)) return false;
        return _parser.Framing != BodyFraming.ContentLength || _parser.ContentLength <= context.Limits.BodySkipBytes;
    }

    private SessionStep SkipBody(ReadOnlySpan<byte> input, SessionContext context, ref int consumed)
    {
        ReadOnlySpan<byte> rest = input[consumed..];
        ParseStatus status;
        int skipped;
        if (_body == BodyFraming.ContentLength)
        {
            skipped = (int)Math.Min(_bodyRemaining, rest.Length);
            _bodyRemaining -= skipped;
            status = _bodyRemaining == 0 ? ParseStatus.Done : ParseStatus.NeedMore;
        }
        else
        {
            status = _chunks.Skip(rest, out skipped);
        }

        consumed += skipped;
        BodySkipped += skipped;
        if (status == ParseStatus.Rejected)
        {
            // The answer has gone out with the head; nothing that follows may be taken for a request.
            _counters.CountReject(RejectReason.BadChunk);
            context.Rejects.Add(RejectReason.BadChunk);
            consumed = input.Length;
            return Break();
        }

        if (status == ParseStatus.Done) _body = BodyFraming.None;
        if (BodySkipped > context.Limits.BodySkipBytes) return SessionStep.Linger;
        if (!_lastAnswered) return SessionStep.Read;
        return status == ParseStatus.Done ? CloseOrLinger(consumed == input.Length) : SessionStep.Linger;
    }

    private protected SessionStep Break()
    {
        IsBroken = true;
        return SessionStep.Linger;
    }

    /// <summary>
    /// A client that asked for the close sends nothing more; one that wanted to go on may have its next request under way, and a close
    /// would answer that with a reset, which can take the last answer with it (RFC 9112 9.6).
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

        CountRequest(method, status);
    }

    /// <summary>Bytes of content that were announced and have not come.</summary>
    private protected long ContentRemaining => _bodyRemaining;

    private protected void CountAnswered() => Requests++;

    private protected void CountRequest(RequestMethod method, int statusIndex)
    {
        Requests++;
        _counters.CountRequest(method, statusIndex);
    }

    private void Reject(
        RejectReason reason, ReadOnlySpan<byte> allow, ConnectionOption option, SessionContext context, ref ResponseWriter writer)
    {
        // Before its request line is complete, a request has no method.
        RequestMethod method = _parser.InRequestLine ? RequestMethod.Unknown : _parser.Method;
        writer.WriteReject(reason, allow, method == RequestMethod.Head, option);
        Requests++;
        context.Rejects.Add(reason);
        _counters.CountReject(reason);
        _counters.CountRequest(method, StatusIndex.Of(RejectReasons.Status(reason)));
    }
}

/// <summary>What a connection does after its session has gone through the bytes at hand.</summary>
internal enum SessionStep : byte
{
    /// <summary>Everything complete is answered; read on.</summary>
    Read,

    /// <summary>The push waits for its gateway: send what is written, then wait to be woken.</summary>
    Wait,

    /// <summary>The gateway broke off its response when a part of it was on its way: reset the connection.</summary>
    Reset,

    /// <summary>There is no room for another answer: send what is written, then go on with the same input.</summary>
    Flush,

    /// <summary>The last answer is written and every byte that was announced has come: close.</summary>
    Close,

    /// <summary>
    /// The last answer is written, but the client may still be sending: close our side only and read on for a while, because a close with
    /// unread bytes resets the connection and can take the answer with it (RFC 9112 9.6).
    /// </summary>
    Linger,
}

/// <summary>Why a push ends before its response.</summary>
internal enum PushEnd : byte
{
    /// <summary>The client has closed its side in the middle of its content.</summary>
    ClientClosed,

    /// <summary>The client sends its content too slowly.</summary>
    BodyTimeout,
}
