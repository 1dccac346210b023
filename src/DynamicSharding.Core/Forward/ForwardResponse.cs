using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Routing;
using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Forward;

/// <summary>Answers that are not a gateway's: the redirect listener's own texts and statuses, and a line for each failure.</summary>
internal static class ForwardResponse
{
    private const string NextUrl = "nextUrl:";
    private const string Liveness = "Hello, I'm pgw gateway+ (｡A｡)";

    /// <param name="http">Nothing of its answer is sent yet.</param>
    /// <param name="route">Anything but a push.</param>
    /// <param name="closes">Whether the connection ends with this answer in any case.</param>
    public static Task WriteAsync(HttpContext http, ForwardRoute route, bool closes)
    {
        switch (route.Kind)
        {
            case RouteKind.NextUrl:
                return WriteAsync(http, 200, NextUrl + route.Text, closes);
            case RouteKind.Liveness:
                return WriteAsync(http, 200, Liveness, closes);
            case RouteKind.Healthy or RouteKind.Ready:
                return WriteAsync(http, 200, "OK\n", closes);
            case RouteKind.NotReady:
                return WriteAsync(http, 503, route.Text, closes);
            default:
                int status = RejectReasons.Status(route.Reason);
                if (status == 405) http.Response.Headers.Allow = route.Text;
                return WriteAsync(http, status, RejectReasons.Sentence(route.Reason) + "\n", closes || status is not (404 or 405 or 503) || http.Request.Method == "CONNECT");
        }
    }

    public static Task WriteAsync(HttpContext http, int status, string text, bool closes)
    {
        byte[] body = Encoding.UTF8.GetBytes(text);
        HttpResponse response = http.Response;
        response.StatusCode = status;
        response.ContentType = "text/plain; charset=utf-8";
        response.ContentLength = body.Length;

        // As on the redirect listener: after an early final answer to "Expect: 100-continue" nothing tells whether the content still comes.
        if (closes || http.Request.Headers.Expect.Count > 0) response.Headers.Connection = "close";
        return http.Request.Method == "HEAD" ? Task.CompletedTask : response.Body.WriteAsync(body).AsTask();
    }
}
