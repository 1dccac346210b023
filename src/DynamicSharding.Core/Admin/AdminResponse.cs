using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Admin;

/// <summary>Writes the responses of the admin listener, with the header fields they all share.</summary>
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

        // Not no-referrer: that would also remove the Origin from the page's own POST (Fetch, 3.1).
        headers["Referrer-Policy"] = "same-origin";
    }

    public static Task TextAsync(HttpContext http, int status, string text) =>
        BytesAsync(http, status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    /// <summary>Retrying later beats waiting in a long queue.</summary>
    public static Task BusyAsync(HttpContext http, string reason = "too many requests in progress\n")
    {
        http.Response.Headers.RetryAfter = "1";
        return TextAsync(http, 503, reason);
    }

    public static ReadOnlyMemory<byte> Serialize<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(value, type);

    public static (int Status, ReadOnlyMemory<byte> Json) Serialize<T>(ApiResult<T> result, JsonTypeInfo<T> type)
        where T : class =>
        (result.Status, result.Found is { } found ? Serialize(found, type) : Serialize(new ErrorResponse(result.Error ?? ""), AdminJson.Default.ErrorResponse));

    public static async Task BytesAsync(HttpContext http, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length;

        // Kestrel copies what it is given before it waits for the client. Small writes keep those copies small, because the body may be shared
        // by many clients. For HEAD it keeps the length and drops the bytes.
        do
        {
            int length = Math.Min(body.Length, MaxWrite);
            await http.Response.Body.WriteAsync(body[..length], http.RequestAborted);
            body = body[length..];
        }
        while (!body.IsEmpty);
    }
}

/// <summary>
/// Bounds the memory of responses that clients are slow to read. A body that several clients share counts once; clients that take one body after
/// another, a few bytes a second, would otherwise keep a body each.
/// </summary>
internal sealed class ResponseBudget(long maxBytes)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ReadOnlyMemory<byte>, int> _readers = [];
    private long _held;

    /// <summary>False when the budget is spent. A body larger than the whole budget is admitted alone.</summary>
    public bool TryHold(ReadOnlyMemory<byte> body)
    {
        lock (_gate)
        {
            int readers = _readers.GetValueOrDefault(body);
            if (readers == 0)
            {
                if (_held > 0 && _held + body.Length > maxBytes) return false;
                _held += body.Length;
            }

            _readers[body] = readers + 1;
            return true;
        }
    }

    public void Release(ReadOnlyMemory<byte> body)
    {
        lock (_gate)
        {
            if (--_readers[body] > 0) return;
            _readers.Remove(body);
            _held -= body.Length;
        }
    }
}

/// <summary>What a query found, or a status and one sentence.</summary>
internal readonly record struct ApiResult<T>(T? Found, int Status, string? Error)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Found))]
    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsFound => Found is not null;

    public static ApiResult<T> NoRing { get; } = new(null, 503, "there is no ring yet");

    public static ApiResult<T> Of(T found) => new(found, 200, null);

    public static ApiResult<T> Bad(string error) => new(null, 400, error);
}
