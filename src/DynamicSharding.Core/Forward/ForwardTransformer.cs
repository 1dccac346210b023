using System.Security.Cryptography;
using DynamicSharding.Outbound;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Forwarder;

namespace DynamicSharding.Forward;

/// <summary>The heads of one forwarded request and its answer: copied, but for what belongs to a connection and what is ours to say.</summary>
/// <param name="destination">The owner's URL, byte for byte.</param>
/// <param name="credentials">Shown instead of the client's, when there are any.</param>
/// <param name="client">The client's address, when the gateway is to be told.</param>
/// <param name="content">What the client sends.</param>
/// <param name="closes">The client's connection ends with this answer.</param>
/// <param name="closesGateway">The gateway's connection is not kept: enough of them are open.</param>
internal sealed class ForwardTransformer(Uri destination, GatewayCredentials? credentials, string? client, RequestContent content, Func<bool> closes, bool closesGateway)
    : HttpTransformer
{
    /// <summary>Ours alone, so that a chain of edges is no loop (RFC 9110 7.6.3); another process has another, as the same one after a restart.</summary>
    private static readonly string Pseudonym = "ds-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));

    private static readonly string Via = "1.1 " + Pseudonym;

    /// <summary>The request has come through here before.</summary>
    public static bool IsLoop(StringValues via)
    {
        foreach (string? value in via)
            if (value?.Contains(Pseudonym, StringComparison.Ordinal) == true) return true;
        return false;
    }

    public override async ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        proxyRequest.RequestUri = destination;

        // Answered here, by the first read of the content.
        proxyRequest.Headers.Remove("Expect");

        // The gateway's own: a proxy in front of it may go by it.
        proxyRequest.Headers.Host = null;

        // RFC 9110 7.6.3: whoever forwards a request says so.
        proxyRequest.Headers.TryAddWithoutValidation("Via", Via);
        if (closesGateway) proxyRequest.Headers.ConnectionClose = true;
        if (client is not null) proxyRequest.Headers.TryAddWithoutValidation("X-Forwarded-For", client);
        if (credentials is null) return;
        proxyRequest.Headers.Remove("Authorization");
        proxyRequest.Headers.TryAddWithoutValidation("Authorization", credentials.Authorization());
    }

    public override async ValueTask<bool> TransformResponseAsync(
        HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        // The gateway's answer to what was spoilt is none to what the client sent.
        if (content.Failure is { } failure) throw failure;
        if (proxyResponse is not null && Fault(proxyResponse) is { } fault) throw new HttpRequestException(fault);
        bool copies = await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        if (!copies || proxyResponse is null) return copies;
        foreach (string name in proxyResponse.Headers.Connection)
        {
            // The content's framing is not the connection's to take away.
            if (!name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)) httpContext.Response.Headers.Remove(name);
        }

        if (proxyResponse.ReasonPhrase?.Any(static c => c is < ' ' or > '~') == true)
        {
            httpContext.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = null;
        }

        if (closes()) httpContext.Response.Headers.Connection = "close";
        return true;
    }

    /// <summary>What cannot be relayed as a message that the client understands (RFC 9110 15, 8.6).</summary>
    private static string? Fault(HttpResponseMessage response) => (int)response.StatusCode switch
    {
        < 200 or > 599 => $"its status is {(int)response.StatusCode}",
        204 or 205 when response.Content.Headers.ContentLength > 0 => $"a {(int)response.StatusCode} with content",
        _ => null,
    };
}
