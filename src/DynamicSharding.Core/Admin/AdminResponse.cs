using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Admin;

/// <summary>How the admin listener's answers are written, and the header fields that all of them have.</summary>
internal static class AdminResponse
{
    private const int MaxWrite = 16 * 1024;

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

    /// <summary>A client does better to come back than to wait in a long line.</summary>
    public static Task BusyAsync(HttpContext http, string why)
    {
        http.Response.Headers.RetryAfter = "1";
        return TextAsync(http, 503, why);
    }

    public static (int Status, byte[] Json) Serialize<T>(ApiResult<T> answer, JsonTypeInfo<T> type)
        where T : class => (answer.Status, answer.Found is { } found
        ? JsonSerializer.SerializeToUtf8Bytes(found, type)
        : JsonSerializer.SerializeToUtf8Bytes(new ErrorResponse(answer.Error ?? ""), AdminJson.Default.ErrorResponse));

    public static async Task BytesAsync(HttpContext http, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length;

        // Kestrel keeps the length and drops the bytes where a HEAD asked for them. It copies what it is given before it waits for the
        // client, so it is given a little at a time: bodies are shared by many clients, copies would not be.
        do
        {
            int length = Math.Min(body.Length, MaxWrite);
            await http.Response.Body.WriteAsync(body[..length], http.RequestAborted);
            body = body[length..];
        }
        while (!body.IsEmpty);
    }
}

/// <summary>What was asked for, or a status and one sentence why not.</summary>
internal readonly record struct ApiResult<T>(T? Found, int Status, string? Error)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Found))]
    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsFound => Found is not null;

    public static ApiResult<T> Of(T found) => new(found, 200, null);

    public static ApiResult<T> Bad(string error) => new(null, 400, error);

    public static ApiResult<T> NoRing { get; } = new(null, 503, "there is no ring yet");
}
