using System.Globalization;
using System.Net;

namespace DynamicSharding.Consul;

/// <summary>The agent answered, and its answer is a refusal.</summary>
internal sealed class ConsulRequestException(HttpStatusCode statusCode, string text, TimeSpan? retryAfter)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"status {(int)statusCode}: {text}"))
{
    public HttpStatusCode StatusCode { get; } = statusCode;

    /// <summary>What the agent said, shortened.</summary>
    public string Text { get; } = text;

    public TimeSpan? RetryAfter { get; } = retryAfter;
}
