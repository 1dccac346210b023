using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Cleanup;

/// <summary>What a cleaner asks of gateways: their groups, their state, and deletes. Every failure is a <see cref="PushgatewayException"/>.</summary>
internal sealed class PushgatewayClient : IDisposable
{
    /// <summary>Pushgateway builds its whole response before the first byte: about a second for 100 MB.</summary>
    private static readonly TimeSpan FirstByteTimeout = TimeSpan.FromSeconds(60);

    /// <summary>A gateway whose queue is full gets nothing for this long, so many times.</summary>
    private static readonly TimeSpan QueuePause = TimeSpan.FromSeconds(5);
    private const int MaxQueuePauses = 12;

    /// <summary>A DELETE that is sent later has been decided on too long ago.</summary>
    private static readonly TimeSpan DeleteConnectTimeout = TimeSpan.FromSeconds(2);

    private const int MaxStatusBytes = 256 * 1024;
    private const int FirstBufferBytes = 64 * 1024;

    /// <summary>Of one string, such as a help text.</summary>
    private const int MaxTokenBytes = 4 * 1024 * 1024;

    /// <summary>What a Pushgateway's health page says while its writer cannot keep up.</summary>
    private const string QueueFull = "write queue is full";

    private readonly ConcurrentDictionary<string, SemaphoreSlim> _turns = new(StringComparer.Ordinal);
    private readonly HttpClient _http;

    /// <summary>With connections of its own: a DELETE that has been decided on must not wait until a reading has ended.</summary>
    private readonly HttpClient _deletes;
    private readonly TimeProvider _time;
    private readonly TimeSpan _silence;
    private readonly string _scheme;
    private readonly string _prefix;
    private readonly GatewayCredentials? _credentials;

    /// <param name="options">How gateways are reached.</param>
    /// <param name="tls">Null for plain HTTP.</param>
    /// <param name="resolver">Of their names; null for the system's.</param>
    /// <param name="silence">How long a gateway may send nothing in the middle of a response; null for 15 s.</param>
    public PushgatewayClient(PushgatewayOptions options, GatewayTls? tls, TimeProvider time, NameResolver? resolver = null, TimeSpan? silence = null)
        : this(
            options,
            Handler(resolver ?? NameResolver.Shared, tls, Timeout.InfiniteTimeSpan),
            Handler(resolver ?? NameResolver.Shared, tls, DeleteConnectTimeout),
            time,
            silence)
    {
    }

    /// <inheritdoc cref="PushgatewayClient(PushgatewayOptions, GatewayTls?, TimeProvider, NameResolver?, TimeSpan?)"/>
    /// <param name="handler">Disposed with the client.</param>
    public PushgatewayClient(PushgatewayOptions options, HttpMessageHandler handler, TimeProvider time, TimeSpan? silence = null)
        : this(options, handler, handler, time, silence)
    {
    }

    private PushgatewayClient(PushgatewayOptions options, HttpMessageHandler handler, HttpMessageHandler deletes, TimeProvider time, TimeSpan? silence)
    {
        _time = time;
        _silence = silence ?? TimeSpan.FromSeconds(15);
        _scheme = options.Scheme;
        _prefix = options.PathPrefix;
        _credentials = GatewayCredentials.From(options);
        _http = Client(handler);
        _deletes = Client(deletes);
    }

    /// <param name="address"><c>host:port</c>.</param>
    /// <exception cref="PushgatewayException">Cannot be read.</exception>
    public async Task<PushgatewayStatus> StatusAsync(string address, CancellationToken ct)
    {
        DateTimeOffset before = _time.GetUtcNow();
        long begun = _time.GetTimestamp();
        using GatewayExchange exchange = await SendAsync(HttpMethod.Get, address, "/api/v1/status", _silence, HttpStatusCode.OK, ct).ConfigureAwait(false);
        TimeSpan took = _time.GetElapsedTime(begun);
        ReadOnlyMemory<byte> body = await exchange.ReadUpToAsync(MaxStatusBytes).ConfigureAwait(false);
        try
        {
            using JsonDocument json = JsonDocument.Parse(body);
            JsonElement data = json.RootElement.GetProperty("data");
            bool utf8 = data.TryGetProperty("flags", out JsonElement flags) && flags.ValueKind == JsonValueKind.Object
                && flags.TryGetProperty("push.enable-utf8-names", out JsonElement flag) && flag.ValueKind == JsonValueKind.String && flag.GetString() == "true";
            DateTimeOffset? date = exchange.Response.Headers.Date;

            // The field has whole seconds, and the gateway wrote it between our request and its response.
            TimeSpan? skew = date is null ? null : date + TimeSpan.FromSeconds(0.5) - (before + (took / 2));
            return new PushgatewayStatus(data.GetProperty("start_time").GetString() ?? "", utf8, skew, TimeSpan.FromSeconds(0.5) + (took / 2));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new PushgatewayException($"{address}: /api/v1/status is not that of a Pushgateway; check the address, and pushgateway.path_prefix");
        }
    }

    /// <summary>
    /// Yields the groups while they arrive: one is in memory at a time. They count only when the enumeration has come to its end, since a response
    /// that breaks off is not all of them.
    /// </summary>
    /// <exception cref="PushgatewayException">Cannot be read, or not to the end.</exception>
    public async IAsyncEnumerable<PushgatewayGroup> GroupsAsync(string address, [EnumeratorCancellation] CancellationToken ct)
    {
        using GatewayExchange exchange = await SendAsync(HttpMethod.Get, address, "/api/v1/metrics", FirstByteTimeout, HttpStatusCode.OK, ct).ConfigureAwait(false);
        var parser = new GroupParser();
        var parsed = new Queue<PushgatewayGroup>();
        var state = new JsonReaderState(new JsonReaderOptions { MaxDepth = 16 });
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBufferBytes);
        try
        {
            int length = 0;
            while (true)
            {
                int read = await exchange.ReadAsync(buffer.AsMemory(length)).ConfigureAwait(false);
                length += read;
                int used = Parse(parser, buffer.AsSpan(0, length), isEnd: read == 0, ref state, parsed, address);
                buffer.AsSpan(used, length - used).CopyTo(buffer);
                length -= used;
                while (parsed.TryDequeue(out PushgatewayGroup? group)) yield return group;
                if (read == 0) break;
                if (length < buffer.Length) continue;
                if (length >= MaxTokenBytes) throw new PushgatewayException($"{address}: a string in /api/v1/metrics has more than {MaxTokenBytes} bytes");
                byte[] larger = ArrayPool<byte>.Shared.Rent(2 * length);
                buffer.CopyTo(larger, 0);
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = larger;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (!parser.IsDone || parser.Status != "success" || !parser.HasData)
            throw new PushgatewayException($"{address}: /api/v1/metrics has the status '{parser.Status}' and no complete list of groups{(parser.Error is null ? "" : ": " + parser.Error)}");
    }

    /// <summary>
    /// The gateway has queued the deletion; it says so for a group that it does not have, too. Each gateway gets one at a time, whoever asks: its
    /// single writer does them one after the other, between pushes.
    /// </summary>
    /// <param name="path">Of the group, see <see cref="GroupPath.Of"/>.</param>
    /// <param name="mayDelete">Asked right before, when the gateway has no other DELETE; null for yes.</param>
    /// <returns>False if it was not sent, because it no longer may.</returns>
    /// <exception cref="PushgatewayException">It has not.</exception>
    public async Task<bool> DeleteAsync(string address, string path, CancellationToken ct, Func<bool>? mayDelete = null)
    {
        SemaphoreSlim turn = _turns.GetOrAdd(address, static _ => new SemaphoreSlim(1));
        await turn.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            if (mayDelete?.Invoke() == false) return false;
            using GatewayExchange exchange = await SendAsync(HttpMethod.Delete, address, path, FirstByteTimeout, HttpStatusCode.Accepted, ct).ConfigureAwait(false);
            await exchange.ReadUpToAsync(1024).ConfigureAwait(false);
            return true;
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Waits while the gateway says that its write queue is full: pushes wait, and so would deletes.</summary>
    /// <param name="onPause">Called before every pause.</param>
    /// <returns>False if the queue is still full after a minute.</returns>
    /// <exception cref="PushgatewayException">The gateway does not respond.</exception>
    public async Task<bool> WaitForQueueAsync(string address, CancellationToken ct, Action? onPause = null)
    {
        for (int pauses = 0; pauses < MaxQueuePauses; pauses++)
        {
            if (!await IsQueueFullAsync(address, ct).ConfigureAwait(false)) return true;
            onPause?.Invoke();
            await Task.Delay(QueuePause, _time, ct).ConfigureAwait(false);
        }

        return false;
    }

    public void Dispose()
    {
        _http.Dispose();
        _deletes.Dispose();
    }

    private async Task<bool> IsQueueFullAsync(string address, CancellationToken ct)
    {
        using GatewayExchange exchange = await SendAsync(HttpMethod.Get, address, "/-/healthy", _silence, null, ct).ConfigureAwait(false);
        if (exchange.Response.StatusCode != HttpStatusCode.InternalServerError) return false;
        return Encoding.UTF8.GetString((await exchange.ReadUpToAsync(1024).ConfigureAwait(false)).Span).Contains(QueueFull, StringComparison.Ordinal);
    }

    private static HttpClient Client(HttpMessageHandler handler)
    {
        var client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "dynamic-sharding");
        return client;
    }

    private static SocketsHttpHandler Handler(NameResolver resolver, GatewayTls? tls, TimeSpan connectTimeout)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = connectTimeout,
            PooledConnectionLifetime = NameResolver.ConnectionLifetime,
            MaxConnectionsPerServer = 2,
            MaxResponseHeadersLength = 32,

            // The rest of a response that is not wanted is not read.
            MaxResponseDrainSize = 0,
        };
        ClientTls.Configure(handler, tls, resolver);
        return handler;
    }

    private static int Parse(GroupParser parser, ReadOnlySpan<byte> bytes, bool isEnd, ref JsonReaderState state, Queue<PushgatewayGroup> groups, string address)
    {
        try
        {
            var reader = new Utf8JsonReader(bytes, isEnd, state);
            while (reader.Read())
            {
                if (parser.Take(ref reader) is { } group) groups.Enqueue(group);
            }

            state = reader.CurrentState;
            return (int)reader.BytesConsumed;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            string what = isEnd ? "breaks off or is not" : "is not";
            throw new PushgatewayException($"{address}: /api/v1/metrics {what} the JSON of a Pushgateway: {e.Message}");
        }
    }

    private async Task<GatewayExchange> SendAsync(HttpMethod method, string address, string path, TimeSpan timeout, HttpStatusCode? expected, CancellationToken ct)
    {
        // The path is sent as it is: it holds nothing that Uri would change.
        using var request = new HttpRequestMessage(method, new Uri($"{_scheme}://{address}{_prefix}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (_credentials is not null) request.Headers.TryAddWithoutValidation("Authorization", _credentials.Authorization());
        var exchange = new GatewayExchange($"{address}: {method} {Short(path)}", _silence, _time, ct);
        try
        {
            await exchange.SendAsync(method == HttpMethod.Delete ? _deletes : _http, request, timeout).ConfigureAwait(false);
            if (expected is null || exchange.Response.StatusCode == expected) return exchange;
            string text = Encoding.UTF8.GetString((await exchange.ReadUpToAsync(256).ConfigureAwait(false)).Span).Trim();
            throw new PushgatewayException(string.Create(CultureInfo.InvariantCulture, $"{address}: {method} {Short(path)}: status {(int)exchange.Response.StatusCode}: {text}"));
        }
        catch
        {
            exchange.Dispose();
            throw;
        }
    }

    private static string Short(string path) => path.Length <= 100 ? path : path[..100] + "…";
}

/// <summary>A gateway did not do what it was asked; the message begins with its address.</summary>
internal sealed class PushgatewayException(string message) : Exception(message);

/// <param name="StartTime">As the gateway writes it. Another one is another process, which may have loaded old groups from its file.</param>
/// <param name="Utf8Names">It runs with <c>--push.enable-utf8-names</c>.</param>
/// <param name="Skew">Its clock minus ours, by the Date field; null without one.</param>
/// <param name="Uncertainty">Of the skew: half a second for the field's resolution, and half of the round trip.</param>
internal sealed record PushgatewayStatus(string StartTime, bool Utf8Names, TimeSpan? Skew, TimeSpan Uncertainty);
