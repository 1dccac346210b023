using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace DynamicSharding.Consul;

/// <summary>One exchange with the agent: fields, timeout, size limit, and one type of exception per kind of failure.</summary>
internal sealed class ConsulRequests(HttpClient http, ConsulClientConfiguration configuration, TimeProvider time)
{
    private const int MaxErrorTextBytes = 512;

    /// <summary>Of the response to a write: an id or a word.</summary>
    private const int MaxAnswerBytes = 4096;

    public ConsulClientConfiguration Configuration { get; } = configuration;

    /// <param name="pathAndQuery">Below <c>v1/</c>.</param>
    /// <param name="rows">Passed to <paramref name="add"/> with each row and, in an object, its name.</param>
    /// <param name="timeout">Of the whole exchange.</param>
    public async Task<QueryResult<TRows>> GetAsync<TRows, T>(
        string pathAndQuery, JsonTypeInfo<T> type, TRows rows, Action<TRows, string?, T> add, TimeSpan timeout, CancellationToken ct)
        where TRows : class
        where T : class
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Path(pathAndQuery));
        return await ExchangeAsync(request, timeout, async (response, stop) =>
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            await new BoundedJson<T>(type, (name, row) => add(rows, name, row)).ReadAsync(body, stop).ConfigureAwait(false);
            return QueryResult<TRows>.From(rows, response.Headers);
        }, ct).ConfigureAwait(false);
    }

    public async Task PutAsync(string pathAndQuery, byte[]? json, TimeSpan timeout, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, Path(pathAndQuery));
        if (json is not null) request.Content = new ByteArrayContent(json) { Headers = { ContentType = new("application/json") } };
        await ExchangeAsync(request, timeout, static (_, _) => Task.FromResult(true), ct).ConfigureAwait(false);
    }

    /// <summary>The same for a response that has content.</summary>
    public async Task<T?> PutAsync<T>(string pathAndQuery, byte[]? content, JsonTypeInfo<T> type, TimeSpan timeout, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, Path(pathAndQuery));
        if (content is not null) request.Content = new ByteArrayContent(content);
        return await ExchangeAsync(request, timeout, async (response, stop) =>
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            var bytes = new byte[MaxAnswerBytes];
            int length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, stop).ConfigureAwait(false);
            return JsonSerializer.Deserialize(bytes.AsSpan(0, length), type);
        }, ct).ConfigureAwait(false);
    }

    private async Task<T> ExchangeAsync<T>(
        HttpRequestMessage request, TimeSpan timeout, Func<HttpResponseMessage, CancellationToken, Task<T>> read, CancellationToken ct)
    {
        if (Configuration.Token() is { Length: > 0 } token) request.Headers.TryAddWithoutValidation("X-Consul-Token", token);
        if (Configuration.Authorization is { } authorization) request.Headers.TryAddWithoutValidation("Authorization", authorization);

        using var expiry = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            using HttpResponseMessage response = await http
                .SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token).ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.OK) throw await RejectionAsync(response, either.Token).ConfigureAwait(false);
            return await read(response, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"no complete response within {timeout.TotalSeconds:0.#} s"));
        }
    }

    private static async Task<ConsulRequestException> RejectionAsync(HttpResponseMessage response, CancellationToken ct)
    {
        await using Stream body = await response.Content.ReadAsStreamAsync(ct).ConfigureAwait(false);
        var text = new byte[MaxErrorTextBytes];
        int length = await body.ReadAtLeastAsync(text, text.Length, throwOnEndOfStream: false, ct).ConfigureAwait(false);
        return new ConsulRequestException(
            response.StatusCode, Encoding.UTF8.GetString(text, 0, length).Trim(), response.Headers.RetryAfter?.Delta);
    }

    private Uri Path(string pathAndQuery)
    {
        var path = new StringBuilder("v1/").Append(pathAndQuery);
        char separator = pathAndQuery.Contains('?') ? '&' : '?';
        Append("ns", Configuration.Namespace);
        Append("partition", Configuration.Partition);
        return new Uri(path.ToString(), UriKind.Relative);

        void Append(string name, string? value)
        {
            if (string.IsNullOrEmpty(value)) return;
            path.Append(separator).Append(name).Append('=').Append(Uri.EscapeDataString(value));
            separator = '&';
        }
    }
}

/// <summary>The agent returned an error.</summary>
internal sealed class ConsulRequestException(HttpStatusCode statusCode, string text, TimeSpan? retryAfter)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"status {(int)statusCode}: {text}"))
{
    public HttpStatusCode StatusCode { get; } = statusCode;

    /// <summary>The body, shortened.</summary>
    public string Text { get; } = text;

    public TimeSpan? RetryAfter { get; } = retryAfter;
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ServiceEntry))]
[JsonSerializable(typeof(AgentService))]
[JsonSerializable(typeof(AgentCheck))]
[JsonSerializable(typeof(AgentServiceRegistration))]
[JsonSerializable(typeof(SessionEntry))]
[JsonSerializable(typeof(KVPair))]
[JsonSerializable(typeof(bool))]
internal sealed partial class ConsulJson : JsonSerializerContext;
