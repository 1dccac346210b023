using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Diagnostics;
using DynamicSharding.Discovery;
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
    public static ForwardRefusal RefusalOf(IOException failure) => failure is BadHttpRequestException { StatusCode: int status }
        ? status switch
        {
            413 => ForwardRefusal.BodyTooLarge,
            408 => ForwardRefusal.BodyTimeout,
            _ => ForwardRefusal.BrokenBody,
        }
        : ForwardRefusal.BrokenBody;

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
                ? $"nothing moved for {DurationText.Format(options.Timeout)} (forward.timeout)"
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
        && attempt is { IsSent: true, IsReused: true, IsAnswered: false, TimedOut: false }
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
            ForwardRefusal refusal = RefusalOf(failure);
            return new ForwardOutcome(ForwardRefusals.Status(refusal), Refusal: refusal);
        }

        if (!attempt.IsSent) return new ForwardOutcome(502, $"pushgateway {gateway} cannot be reached: {Reason(cause)}");

        if (attempt.TimedOut)
        {
            return new ForwardOutcome(504, $"pushgateway {gateway} gave no answer within {DurationText.Format(options.Timeout)} (forward.timeout)");
        }

        return new ForwardOutcome(502, $"pushgateway {gateway} gave no whole answer: {Reason(cause)}");
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
