using System.Diagnostics;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Routing;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Forward;

/// <summary>Handles one request of the forward listener, from its head to its response.</summary>
internal sealed class ForwardHandler(ForwardRouter router, Forwarder forwarder, ForwardCounters counters, ForwardOptions options, ILogger logger)
{
    private ForwardRouter _router = router;
    private ForwardOptions _options = options;
    private volatile bool _draining;

    /// <summary>Applies a reload to the next request.</summary>
    public void Apply(ForwardRouter router, ForwardOptions options)
    {
        Volatile.Write(ref _router, router);
        Volatile.Write(ref _options, options);
    }

    /// <summary>From now on every response closes its connection.</summary>
    public void Drain() => _draining = true;

    public async Task HandleAsync(HttpContext http)
    {
        try
        {
            ForwardRoute route = Route(http);
            if (route.Kind == RouteKind.Redirect)
            {
                await ForwardAsync(http, route);
                return;
            }

            if (route.Kind == RouteKind.Reject) counters.CountReject(route.Reason);
            await ForwardResponse.WriteAsync(http, route, _draining || HasContentWithoutMeaning(http));
        }
        catch (Exception e) when (http.RequestAborted.IsCancellationRequested || e is ConnectionResetException or ConnectionAbortedException)
        {
            // The client went away.
        }
        catch (Exception e)
        {
            logger.ForwardFailed(e);
            if (http.Response.HasStarted) http.Abort();
            else await ForwardResponse.WriteAsync(http, 500, "internal error, see the log\n", closes: true);
        }
        finally
        {
            http.Features.GetRequiredFeature<IdleClock>().End();
        }
    }

    /// <summary>As on the redirect listener, such a request is the last of its connection.</summary>
    private static bool HasContentWithoutMeaning(HttpContext http) =>
        (HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method))
        && http.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true };

    private ForwardRoute Route(HttpContext http)
    {
        ForwardRouter router = Volatile.Read(ref _router);
        string target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        byte[] received = RejectedTarget.Decode(target, out RejectReason refused);
        return refused == RejectReason.None ? router.Route(http.Request.Method, received) : ForwardRoute.Reject(refused);
    }

    private async Task ForwardAsync(HttpContext http, ForwardRoute route)
    {
        long started = Stopwatch.GetTimestamp();
        ForwardOptions options = Volatile.Read(ref _options);
        ForwardGatewayCounters gateway = counters.For(route.Gateway);

        if (ForwardTransformer.IsLoop(http.Request.Headers.Via))
        {
            await RejectAsync(http, ForwardRejectReason.Loop, gateway, options);
            return;
        }

        // We enforce the limit, so that Kestrel skips the rest of content that is too long, and the client can read the response.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit) limit.MaxRequestBodySize = null;
        if (http.Request.ContentLength > options.MaxBodyBytes)
        {
            await RejectAsync(http, ForwardRejectReason.BodyTooLarge, gateway, options);
            return;
        }

        // Checked before any content is read, and again when it has arrived: content of up to 64 KiB from a slow client takes no place.
        // Longer content has its place while it is sent, since the gateway already has a part of it.
        if (gateway.InFlight >= options.MaxInFlight)
        {
            await RejectAsync(http, ForwardRejectReason.TooManyInFlight, gateway, options);
            return;
        }

        try
        {
            using RequestContent content = await RequestContent.ReadAsync(http, options.MaxBodyBytes);
            if (!gateway.TryEnter(options.MaxInFlight))
            {
                await RejectAsync(http, ForwardRejectReason.TooManyInFlight, gateway, options);
                return;
            }

            try
            {
                ForwardOutcome outcome = await forwarder.SendAsync(http, content, route, gateway, options, () => _draining);
                if (outcome.Refusal is { } refusal) await RejectAsync(http, refusal, gateway, options);
                else if (outcome is { Code: ForwardGatewayCounters.Broken, Text: { } why }) logger.ResponseTruncated(gateway.Address, why);
                else if (outcome.Text is { } text) await FailAsync(http, outcome.Code, text, gateway);
                gateway.CountCode(outcome.Code);
            }
            finally
            {
                gateway.Leave();
                counters.Observe(Stopwatch.GetElapsedTime(started));
            }
        }
        catch (IOException e)
        {
            await RejectAsync(http, Forwarder.RejectReasonOf(e), gateway, options);
        }
    }

    private Task FailAsync(HttpContext http, int code, string text, ForwardGatewayCounters gateway)
    {
        logger.PushNotForwarded(gateway.Address, code, text);
        http.Response.Clear();
        return ForwardResponse.WriteAsync(http, code, text + "\n", _draining);
    }

    private Task RejectAsync(HttpContext http, ForwardRejectReason refusal, ForwardGatewayCounters gateway, ForwardOptions options)
    {
        string text = refusal switch
        {
            ForwardRejectReason.BodyTooLarge => $"content too long: at most {options.MaxBodyBytes} bytes (forward.max_body_bytes)",
            ForwardRejectReason.TooManyInFlight =>
                $"pushgateway {gateway.Address} has {options.MaxInFlight} pushes in flight, try again later (forward.max_in_flight)",
            ForwardRejectReason.BodyTimeout =>
                $"content too slow (limits.body_min_rate), or stalled for {DurationText.Format(options.Timeout)} (forward.timeout)",
            ForwardRejectReason.Loop =>
                $"loop detected: the push was here before, so pushgateway {gateway.Address} is not a gateway, or leads back here",
            _ => "the content ended early, or is malformed",
        };
        counters.CountReject(refusal);
        int status = ForwardRejectReasons.Status(refusal);
        logger.PushNotForwarded(gateway.Address, status, text);
        http.Response.Clear();
        if (refusal == ForwardRejectReason.TooManyInFlight) http.Response.Headers.RetryAfter = "1";
        return ForwardResponse.WriteAsync(http, status, text + "\n", closes: refusal != ForwardRejectReason.TooManyInFlight || _draining);
    }
}
