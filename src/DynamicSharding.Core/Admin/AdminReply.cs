using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DynamicSharding.Admin.Api;
using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Admin;

/// <summary>How the admin listener's answers are written, and the header fields that all of them have.</summary>
internal static class AdminReply
{
    public static void SetHeaders(IHeaderDictionary headers)
    {
        headers.XContentTypeOptions = "nosniff";
        headers.CacheControl = "no-store";
        headers.ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'";
        headers.XFrameOptions = "DENY";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";

        // Not no-referrer: that would also take the Origin from the page's own POST (Fetch, 3.1).
        headers["Referrer-Policy"] = "same-origin";
    }

    public static Task TextAsync(HttpContext http, int status, string text) =>
        BytesAsync(http, status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    public static Task JsonAsync<T>(HttpContext http, int status, T value, JsonTypeInfo<T> type) =>
        BytesAsync(http, status, "application/json; charset=utf-8", JsonSerializer.SerializeToUtf8Bytes(value, type));

    public static Task AnswerAsync<T>(HttpContext http, Answer<T> answer, JsonTypeInfo<T> type)
        where T : class => answer.Found is { } found
        ? JsonAsync(http, answer.Status, found, type)
        : JsonAsync(http, answer.Status, new ErrorResponse(answer.Error ?? ""), AdminJson.Default.ErrorResponse);

    public static async Task BytesAsync(HttpContext http, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length;

        // Kestrel keeps the length and drops the bytes where a HEAD asked for them.
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
