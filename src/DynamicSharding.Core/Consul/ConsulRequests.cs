using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace DynamicSharding.Consul;

/// <summary>One exchange with the agent: fields, deadline, size bound, and a failure as one kind of exception per cause.</summary>
internal sealed class ConsulRequests(HttpClient http, ConsulClientConfiguration configuration, TimeProvider time)
{
    /// <summary>About 1.3 kB per instance: room for 50,000 of them, and a bound on what a broken agent can make us hold.</summary>
    private const long MaxAnswerBytes = 64 * 1024 * 1024;

    private const int MaxErrorTextBytes = 512;

    public ConsulClientConfiguration Configuration { get; } = configuration;

    /// <param name="pathAndQuery">Below <c>v1/</c>.</param>
    /// <param name="type">Of a row.</param>
    /// <param name="rows">What the rows are added to, with their names if they have some.</param>
    /// <param name="add">Adds one.</param>
    /// <param name="deadline">Of the whole exchange.</param>
    /// <param name="ct">Stops it earlier.</param>
    public async Task<QueryResult<TRows>> GetAsync<TRows, T>(
        string pathAndQuery, JsonTypeInfo<T> type, TRows rows, Action<TRows, string?, T> add, TimeSpan deadline, CancellationToken ct)
        where TRows : class
        where T : class
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Path(pathAndQuery));
        return await ExchangeAsync(request, deadline, async (response, stop) =>
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            await using var bounded = new BoundedReadStream(body, MaxAnswerBytes);
            await new BoundedJson<T>(type, (name, row) => add(rows, name, row)).ReadAsync(bounded, stop).ConfigureAwait(false);
            return QueryResult<TRows>.From(rows, response.Headers);
        }, ct).ConfigureAwait(false);
    }

    /// <param name="pathAndQuery">Below <c>v1/</c>.</param>
    /// <param name="json">Null for a request without a body.</param>
    /// <param name="deadline">Of the whole exchange.</param>
    /// <param name="ct">Stops it earlier.</param>
    public async Task PutAsync(string pathAndQuery, byte[]? json, TimeSpan deadline, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, Path(pathAndQuery));
        if (json is not null) request.Content = new ByteArrayContent(json) { Headers = { ContentType = new("application/json") } };
        await ExchangeAsync(request, deadline, static (_, _) => Task.FromResult(true), ct).ConfigureAwait(false);
    }

    private async Task<T> ExchangeAsync<T>(
        HttpRequestMessage request, TimeSpan deadline, Func<HttpResponseMessage, CancellationToken, Task<T>> read, CancellationToken ct)
    {
        if (Configuration.Token() is { Length: > 0 } token) request.Headers.TryAddWithoutValidation("X-Consul-Token", token);
        if (Configuration.Authorization is { } authorization) request.Headers.TryAddWithoutValidation("Authorization", authorization);

        using var expiry = new CancellationTokenSource(deadline, time);
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
            throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"no complete answer within {deadline.TotalSeconds:0.#} s"));
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

/// <summary>Reads from another stream and fails once more than a limit has come: an answer that never ends must not fill the memory.</summary>
internal sealed class BoundedReadStream(Stream inner, long limit) : Stream
{
    private long _left = limit;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Count(await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false));

    public override int Read(byte[] buffer, int offset, int count) => Count(inner.Read(buffer, offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private int Count(int read)
    {
        _left -= read;
        return _left >= 0 ? read : throw new ResponseTooLargeException("the response is larger than this client accepts");
    }
}

/// <summary>The agent answered, and its answer is a refusal.</summary>
internal sealed class ConsulRequestException(HttpStatusCode statusCode, string text, TimeSpan? retryAfter)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"status {(int)statusCode}: {text}"))
{
    public HttpStatusCode StatusCode { get; } = statusCode;

    /// <summary>What the agent said, shortened.</summary>
    public string Text { get; } = text;

    public TimeSpan? RetryAfter { get; } = retryAfter;
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ServiceEntry))]
[JsonSerializable(typeof(AgentService))]
[JsonSerializable(typeof(AgentServiceRegistration))]
internal sealed partial class ConsulJson : JsonSerializerContext;
