using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Outbound;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace DynamicSharding.Forward;

/// <summary>
/// Sends one push to its owner and relays the answer. No other gateway is tried: a copy there would turn stale. Sent again, once and on a
/// fresh connection, is only what met a kept connection that the gateway was closing, and only while the client is there to hear of it: a
/// client that has gone may have sent a newer push by now, and the older one must not come after it.
/// </summary>
internal sealed class Forwarder(IHttpForwarder proxy, GatewayClients clients, GatewayCredentials? credentials, AwakeClock clock, Func<int> maxKept)
{
    /// <summary>A kept connection that the gateway was closing ends at once. What ends later was with the gateway, which may have taken it.</summary>
    private static readonly TimeSpan ReplayTime = TimeSpan.FromSeconds(1);

    private static readonly UriCreationOptions Verbatim = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <param name="failure">Of reading the content.</param>
    public static ForwardRejectReason RejectReasonOf(IOException failure) => failure is BadHttpRequestException { StatusCode: int status }
        ? status switch
        {
            413 => ForwardRejectReason.BodyTooLarge,
            408 => ForwardRejectReason.BodyTimeout,
            _ => ForwardRejectReason.BrokenBody,
        }
        : ForwardRejectReason.BrokenBody;

    public async Task<ForwardOutcome> SendAsync(
        HttpContext http, RequestContent content, ForwardRoute route, ForwardGatewayCounters gateway, ForwardOptions options, Func<bool> closes)
    {
        var connection = http.Features.GetRequiredFeature<ClientConnection>();
        IHeaderDictionary fields = http.Request.Headers;

        // The library would carry an upgrade out.
        fields.Remove("Upgrade");
        if (content.IsWhole && fields.TransferEncoding.Count > 0)
        {
            // Its length is known by now.
            fields.Remove("Transfer-Encoding");
            fields.ContentLength = content.Length;
        }

        string? client = options.XForwardedFor ? ClientAddress(http.Connection.RemoteIpAddress) : null;
        var heads = new ForwardTransformer(new Uri(route.Text, Verbatim), credentials, client, content, closes, clients.Open >= maxKept());
        (ForwarderError error, ForwardAttempt attempt) =
            await AttemptAsync(http, connection, content, route, content.IsWhole ? clients.Pooled : clients.Fresh, heads, options.Timeout);
        if (content.IsWhole && MayReplay(http, connection, error, attempt))
        {
            gateway.CountReplay();
            http.Response.Clear();
            (error, attempt) = await AttemptAsync(http, connection, content, route, clients.Fresh, heads, options.Timeout);
        }

        // Begun and broken off: the library has cut the client's connection, so that half an answer is not taken for a whole one. That makes
        // the client look gone.
        if (http.Response.HasStarted && (error == ForwarderError.ResponseBodyDestination || attempt.TimedOut))
        {
            string why = attempt.TimedOut
                ? $"no progress for {DurationText.Format(options.Timeout)} (forward.timeout)"
                : Reason(http.Features.Get<IForwarderErrorFeature>()?.Exception);
            return new ForwardOutcome(ForwardGatewayCounters.Broken, why);
        }

        return connection.Gone.IsCancellationRequested
            ? new ForwardOutcome(ForwardGatewayCounters.Aborted)
            : Judge(http, content, error, attempt, gateway.Address, options);
    }

    private async Task<(ForwarderError Error, ForwardAttempt Attempt)> AttemptAsync(
        HttpContext http,
        ClientConnection connection,
        RequestContent content,
        ForwardRoute route,
        HttpMessageInvoker client,
        ForwardTransformer heads,
        TimeSpan timeout)
    {
        var config = new ForwarderRequestConfig
        {
            // The attempt has a clock of its own.
            ActivityTimeout = Timeout.InfiniteTimeSpan,
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        http.Request.Body = content.Open(clock, timeout);
        using ForwardAttempt attempt = ForwardAttempt.Begin(connection, content, clock, timeout);
        http.RequestAborted = attempt.End;
        return (await proxy.SendAsync(http, route.Text, client, config, heads), attempt);
    }

    private static bool MayReplay(HttpContext http, ClientConnection client, ForwarderError error, ForwardAttempt attempt) =>
        error is ForwarderError.Request or ForwarderError.RequestBodyDestination
        && attempt is { IsSent: true, IsReused: true, HasResponse: false, TimedOut: false }
        && attempt.SinceSent <= ReplayTime
        && !http.Response.HasStarted
        && client.IsFullyOpen;

    private static ForwardOutcome Judge(
        HttpContext http, RequestContent content, ForwarderError error, ForwardAttempt attempt, string gateway, ForwardOptions options)
    {
        int code = http.Response.StatusCode;
        if (error == ForwarderError.None || http.Response.HasStarted) return new ForwardOutcome(code);
        Exception? cause = http.Features.Get<IForwarderErrorFeature>()?.Exception;

        // Whatever the gateway made of it.
        if (content.Failure is { } failure)
        {
            ForwardRejectReason refusal = RejectReasonOf(failure);
            return new ForwardOutcome(ForwardRejectReasons.Status(refusal), Refusal: refusal);
        }

        if (!attempt.IsSent) return new ForwardOutcome(502, $"pushgateway {gateway} cannot be reached: {Reason(cause)}");

        if (attempt.TimedOut)
        {
            string timeout = DurationText.Format(options.Timeout);
            return new ForwardOutcome(504, $"pushgateway {gateway} sent no response within {timeout} (forward.timeout)");
        }

        return new ForwardOutcome(502, $"pushgateway {gateway} sent no complete response: {Reason(cause)}");
    }

    /// <summary>One line, whatever the library says.</summary>
    private static string Reason(Exception? cause)
    {
        if (cause is AggregateException { InnerExceptions: [Exception first, ..] }) cause = first;
        if (cause is OperationCanceledException) return "no connection in time";
        while (cause?.InnerException is { } inner) cause = inner;
        return cause?.Message.ReplaceLineEndings(" ") ?? "unknown";
    }

    private static string? ClientAddress(IPAddress? address) =>
        address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4().ToString() : address?.ToString();
}

/// <summary>What became of a forward.</summary>
/// <param name="Code">The status that the client gets or got, or one of those of <see cref="ForwardGatewayCounters"/> that are none.</param>
/// <param name="Text">
/// A line for the client, or why its answer was cut off; null when the gateway's answer is on its way or nobody is there to read.
/// </param>
/// <param name="Refusal">The content was at fault: this answers instead.</param>
internal readonly record struct ForwardOutcome(int Code, string? Text = null, ForwardRejectReason? Refusal = null);

/// <summary>
/// One try to send one request, as its connection saw it: the client library's errors do not tell whether the connection had been kept, nor
/// whether a gateway had begun to respond. It ends the try, too, when the client is gone or nothing moves.
/// </summary>
internal sealed class ForwardAttempt : IDisposable
{
    /// <summary>How often the client's connection is looked at: nothing tells of a reset while its content waits here.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>For spoiling content that is cut off: a gateway that does not take it by then has not taken the push.</summary>
    private static readonly TimeSpan SpoilTime = TimeSpan.FromSeconds(1);

    /// <summary>Set in the flow that sends; the connection that it writes to finds it there.</summary>
    private static readonly AsyncLocal<ForwardAttempt?> Local = new();

    private readonly ClientConnection _client;
    private readonly RequestContent _content;
    private readonly AwakeClock _clock;
    private readonly TimeSpan _timeout;

    // Without a deadline of its own it needs no disposal, and a look that is late may still cancel it.
    private readonly CancellationTokenSource _end = new();
    private readonly CancellationTokenRegistration _gone;
    private readonly Timer _looks;
    private long _moved;
    private long _sent;
    private long _goneSince;
    private volatile bool _isSent;
    private volatile bool _isReused;
    private volatile bool _isAnswered;
    private volatile bool _timedOut;

    private ForwardAttempt(ClientConnection client, RequestContent content, AwakeClock clock, TimeSpan timeout)
    {
        _client = client;
        _content = content;
        _clock = clock;
        _timeout = timeout;
        _moved = clock.Now.Ticks;
        _looks = new Timer(static attempt => ((ForwardAttempt)attempt!).Look(), this, Timeout.Infinite, Timeout.Infinite);
        Plan();
        _gone = client.Gone.UnsafeRegister(static attempt => ((ForwardAttempt)attempt!).Abandon(), this);
    }

    public static ForwardAttempt? Current => Local.Value;

    /// <summary>Ends the attempt.</summary>
    public CancellationToken End => _end.Token;

    /// <summary>A connection was had, and a byte of the request was written to it.</summary>
    public bool IsSent => _isSent;

    /// <summary>That connection had carried a request before.</summary>
    public bool IsReused => _isReused;

    /// <summary>A byte of a response came.</summary>
    public bool HasResponse => _isAnswered;

    /// <summary>It ended because nothing moved.</summary>
    public bool TimedOut => _timedOut;

    /// <summary>Since the first byte of the request was written.</summary>
    public TimeSpan SinceSent => _clock.Now - TimeSpan.FromTicks(Interlocked.Read(ref _sent));

    /// <summary>Begins an attempt that lasts to the end of the calling method.</summary>
    public static ForwardAttempt Begin(ClientConnection client, RequestContent content, AwakeClock clock, TimeSpan timeout) =>
        Local.Value = new ForwardAttempt(client, content, clock, timeout);

    /// <param name="isReused">The connection had carried a request before.</param>
    public void Sending(bool isReused)
    {
        Moved();
        if (_isSent) return;
        _isReused = isReused;
        Interlocked.Exchange(ref _sent, Interlocked.Read(ref _moved));
        _isSent = true;
    }

    public void Answered()
    {
        Moved();
        _isAnswered = true;
    }

    /// <summary>A byte went to the gateway or came from it.</summary>
    public void Moved() => Interlocked.Exchange(ref _moved, _clock.Now.Ticks);

    public void Dispose()
    {
        _gone.Dispose();
        _looks.Dispose();
    }

    private void Look()
    {
        _client.Look();
        TimeSpan now = _clock.Now;
        if (now.Ticks - Interlocked.Read(ref _moved) >= _timeout.Ticks && !_content.IsWaitingForClient)
        {
            _timedOut = true;
            _end.Cancel();
        }
        else if (Interlocked.Read(ref _goneSince) is var since and > 0 && now.Ticks - since >= SpoilTime.Ticks)
        {
            _end.Cancel();
        }
        else if (!_end.IsCancellationRequested)
        {
            Plan();
        }
    }

    private void Plan()
    {
        TimeSpan left = _timeout - TimeSpan.FromTicks(_clock.Now.Ticks - Interlocked.Read(ref _moved));
        TimeSpan next = left < LookEvery ? left : LookEvery;
        try
        {
            _looks.Change((long)Math.Max(next.TotalMilliseconds + 1, 1), Timeout.Infinite);
        }
        catch (ObjectDisposedException)
        {
            // Over meanwhile.
        }
    }

    /// <summary>At once; content of which the gateway has a part is spoiled before.</summary>
    private void Abandon()
    {
        if (_content.IsSpoiledWhenCut) Interlocked.Exchange(ref _goneSince, Math.Max(_clock.Now.Ticks, 1));
        else _end.Cancel();
    }
}
