using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Server;

/// <summary>
/// The HTTP side of one connection, without its socket: responds to every complete request in the input, in order, skips the content, and
/// decides whether the connection persists.
/// </summary>
internal sealed class HttpSession
{
    private RequestParser _parser;
    private ChunkedBodySkipper _chunks;
    private BodyFraming _body;
    private long _bodyRemaining;
    private bool _lastResponseWritten;
    private bool _clientPersists;

    /// <summary>A head has begun and is incomplete: the header timeout runs.</summary>
    public bool InHead => _body == BodyFraming.None && _parser.HasStarted;

    /// <summary>Content is being received: the minimum rate applies.</summary>
    public bool InBody => _body != BodyFraming.None;

    /// <summary>Bytes of the current request's content skipped so far.</summary>
    public long BodySkipped { get; private set; }

    /// <summary>Responses written since the connection began.</summary>
    public long Requests { get; private set; }

    /// <summary>How many of the next bytes are known to be content; a request may follow them.</summary>
    public long ContentAhead => _body switch
    {
        BodyFraming.None => 0,
        BodyFraming.ContentLength => _bodyRemaining,
        _ => _chunks.DataAhead,
    };

    /// <summary>The client broke the framing, so the connection ends.</summary>
    public bool IsBroken { get; private set; }

    /// <param name="consumed">How many bytes of the input are no longer needed.</param>
    /// <param name="written">How many bytes of the output to send.</param>
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
            step = InBody
                ? SkipBody(input, context, ref consumed)
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
        context.Router.Resolve(_parser.Method, target, out Route route);
        bool persist = MayPersist(route, context);
        ConnectionOption option = !persist ? ConnectionOption.Close
            : _parser.IsHttp10 ? ConnectionOption.KeepAlive : ConnectionOption.None;
        Write(route, option, context, ref writer);

        consumed += _parser.HeadLength;
        _lastResponseWritten = !persist;
        _clientPersists = _parser.KeepAlive;
        _body = _parser.Framing;
        _bodyRemaining = _parser.ContentLength;
        BodySkipped = 0;
        _chunks = default;
        _parser = default;
        if (!_lastResponseWritten) return SessionStep.Read;
        if (_body == BodyFraming.None) return CloseOrLinger(consumed == input.Length);

        // Skip the content received so far: if it is complete, the connection may close without lingering. If it is malformed, that is logged.
        return consumed == input.Length ? SessionStep.Linger : SessionStep.Read;
    }

    /// <summary>
    /// A connection persists only if all content is read (RFC 9112 9.3). After an early final response to "Expect: 100-continue" the client may or
    /// may not send the content (RFC 9110 10.1.1), and the bytes do not tell which: such a connection always ends, so that the response does not
    /// depend on TCP segments. Bytes behind a refused CONNECT may belong to the tunnel. Content of a GET or HEAD has no meaning (RFC 9110 9.3.1):
    /// a proxy may reuse the connection for another client after the response, and an error in that content would lose that client's request.
    /// </summary>
    private bool MayPersist(in Route route, SessionContext context)
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
            // The response was written after the head; nothing behind it may be read as a request.
            context.Counters.CountReject(RejectReason.BadChunk);
            context.Rejects.Add(RejectReason.BadChunk);
            IsBroken = true;
            consumed = input.Length;
            return SessionStep.Linger;
        }

        if (status == ParseStatus.Done) _body = BodyFraming.None;
        if (BodySkipped > context.Limits.BodySkipBytes) return SessionStep.Linger;
        if (!_lastResponseWritten) return SessionStep.Read;
        return status == ParseStatus.Done ? CloseOrLinger(consumed == input.Length) : SessionStep.Linger;
    }

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
        context.Counters.CountRequest(method, status);
    }

    private void Reject(
        RejectReason reason, ReadOnlySpan<byte> allow, ConnectionOption option, SessionContext context, ref ResponseWriter writer)
    {
        // The method is unknown until the request line is complete.
        RequestMethod method = _parser.InRequestLine ? RequestMethod.Unknown : _parser.Method;
        writer.WriteReject(reason, allow, method == RequestMethod.Head, option);
        Requests++;
        context.Rejects.Add(reason);
        context.Counters.CountReject(reason);
        context.Counters.CountRequest(method, StatusIndex.Of(RejectReasons.Status(reason)));
    }
}

/// <summary>What a connection does after its session has handled the input.</summary>
internal enum SessionStep : byte
{
    /// <summary>All complete requests have their responses; read more.</summary>
    Read,

    /// <summary>The output is full: send it, then continue with the same input.</summary>
    Flush,

    /// <summary>The last response is written and nothing more is expected: close.</summary>
    Close,

    /// <summary>
    /// The last response is written, but the client may still be sending: half-close and keep reading for a while, because closing with unread
    /// bytes resets the connection and can destroy the response (RFC 9112 9.6).
    /// </summary>
    Linger,
}
