using System.Net;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Follows one service with blocking queries, one at a time, and writes what it learns to a channel. An index is only a hint: what counts is
/// the content, and after any failure the next query starts over.
/// </summary>
/// <remarks>
/// An index means something only to the agent that returned it. HttpClient silently repeats a request on a new connection when it finds the
/// old one closed, and behind the new one may be an agent that has restarted: it would not reach the index for a long time and stay silent
/// for the whole wait. So a query with an index never leaves the connection of the last response.
/// </remarks>
internal sealed class ConsulWatch : IDisposable
{
    /// <summary>Short, because the agent keeps an abandoned query until its wait is over.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(60);

    /// <summary>Much longer than an agent takes, shorter than any hold.</summary>
    private static readonly TimeSpan ConfirmTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Between confirmations that fail, while the watch fails too.</summary>
    private static readonly TimeSpan ConfirmPause = TimeSpan.FromSeconds(5);

    /// <summary>Ten times the largest ring that was measured.</summary>
    private const int MaxMembers = 10_000;

    private readonly ConsulOptions _options;
    private readonly ShardingOptions _sharding;
    private readonly ChannelWriter<DiscoveryEvent> _events;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ConnectGate _gate = new();
    private readonly ConsulClient _client;
    private readonly WatchRateLimiter _limiter;
    private readonly Backoff _backoff = new(Random.Shared);

    /// <summary>Guards what the watch and a confirmation both write.</summary>
    private readonly Lock _lock = new();
    private ConsulFailure? _failure;
    private ulong _lastIndex;
    private int _responses;
    private volatile bool _isLost = true;
    private volatile DiscoveryStatus _status = new(DiscoveryKind.Consul, null, 0, null, 0, null);

    private bool _hadInstances;

    /// <param name="token">Called before each request.</param>
    /// <param name="sharding">A list that makes a larger ring than there may be is not used.</param>
    /// <param name="events">Unbounded.</param>
    public ConsulWatch(
        ConsulOptions options, Func<string?> token, ShardingOptions sharding, ChannelWriter<DiscoveryEvent> events, ILogger logger, TimeProvider time)
    {
        _options = options;
        _sharding = sharding;
        _events = events;
        _logger = logger;
        _time = time;
        _client = ConsulConnection.Open(options, token, time, _gate);
        _limiter = new WatchRateLimiter(time);
    }

    public DiscoveryStatus Status => _status;

    public void Dispose() => _client.Dispose();

    /// <summary>Runs until it is canceled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        ulong index = 0;
        bool startsOver = true;
        while (true)
        {
            await _limiter.WaitAsync(ct).ConfigureAwait(false);

            // Open also for the query after the first response: a proxy may close the connection after each one.
            _gate.IsOpen = startsOver || index == 0;
            startsOver = index == 0;
            try
            {
                QueryResult<List<ServiceEntry>> result = await QueryAsync(_client, index, Wait, ct).ConfigureAwait(false);
                ulong newIndex = Math.Max(1, IndexOf(result));
                _backoff.Reset();
                if (newIndex < index)
                {
                    // A snapshot was restored or the cluster rebuilt. This response may show a passing moment: query again.
                    Log.ConsulIndexWentBackwards(_logger, index, newIndex);
                    index = 0;
                    continue;
                }

                // A confirmation may have brought something newer in the meantime; then this response is outdated.
                if (index == 0 || newIndex >= Volatile.Read(ref _lastIndex))
                {
                    Check(result);
                    RecordSuccess(result, newIndex);
                    Report(result.Response, isRepeated: newIndex == index);
                }

                index = newIndex;
            }
            catch (HttpRequestException ex) when (ex.InnerException is ConnectionLostException)
            {
                index = 0;
            }
            catch (Exception ex) when (!ct.IsCancellationRequested)
            {
                // Whatever failed, even a bug: the ring stays and the watch continues.
                index = 0;
                RecordFailure(ex);
                await Task.Delay(_backoff.Next((ex as ConsulRequestException)?.RetryAfter), _time, ct).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// Queries the current state next to the blocking query, which may be silent for a minute. Repeats while neither this query nor
    /// the watch gets a usable response.
    /// </summary>
    /// <param name="client">Not the watch's own: the blocking query occupies its one connection.</param>
    public async Task ConfirmAsync(ConsulClient client, CancellationToken ct)
    {
        while (true)
        {
            await TryConfirmAsync(client, ct).ConfigureAwait(false);
            if (!_isLost) return;
            await Task.Delay(ConfirmPause, _time, ct).ConfigureAwait(false);
            if (!_isLost) return;
        }
    }

    private async Task TryConfirmAsync(ConsulClient client, CancellationToken ct)
    {
        int responses = Volatile.Read(ref _responses);
        using var expiry = new CancellationTokenSource(ConfirmTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            QueryResult<List<ServiceEntry>> result = await QueryAsync(client, 0, TimeSpan.Zero, either.Token).ConfigureAwait(false);
            ulong index = IndexOf(result);

            // With stale reads a server that lags behind may respond. That confirms nothing.
            if (index < Volatile.Read(ref _lastIndex)) return;
            Check(result);
            if (result.Response.Count == 0) throw new InvalidDataException("no instance is registered");
            RecordSuccess(result, index);
            SetFailure(null, "");
            Write(new DiscoveryEvent.Response(result.Response, _time.GetTimestamp(), IsConfirmation: true));
        }
        catch (Exception ex) when (!ct.IsCancellationRequested)
        {
            // No failure if the watch got a response in the meantime.
            if (responses != Volatile.Read(ref _responses)) return;
            RecordFailure(ex is OperationCanceledException ? new TimeoutException($"no response within {ConfirmTimeout.TotalSeconds:0} s", ex) : ex);
        }
    }

    private Task<QueryResult<List<ServiceEntry>>> QueryAsync(ConsulClient client, ulong index, TimeSpan wait, CancellationToken ct)
    {
        ConsistencyMode mode = _options.Consistency switch
        {
            ConsulConsistency.Default => ConsistencyMode.Default,
            ConsulConsistency.Consistent => ConsistencyMode.Consistent,
            _ => ConsistencyMode.Stale,
        };
        return client.Health.Service(_options.RegisterServiceName, new QueryOptions(mode, index, wait), ct);
    }

    private static ulong IndexOf(QueryResult<List<ServiceEntry>> result) =>
        result.LastIndex ?? throw new InvalidDataException("the response has no X-Consul-Index");

    /// <summary>All of a list or nothing: a part of it would make another ring than the other instances have.</summary>
    private void Check(QueryResult<List<ServiceEntry>> result)
    {
        if (result.FilteredByAcls) throw new ConsulRequestException(HttpStatusCode.Forbidden, "the token's permissions hide some instances", null);
        int[] weights =
        [
            .. result.Response.GroupBy(static row => (row.Address, row.Service?.Port))
                .Select(same => _sharding.ConsulWeights ? same.Max(static row => row.Service is { } service ? ConsulWeights.Of(service) : 1) : 1),
        ];
        int gateways = weights.Length;
        if (gateways > MaxMembers) throw new ResponseTooLargeException($"{gateways} gateways: a ring has at most {MaxMembers} members");
        long weight = weights.Sum(static each => (long)each);
        if (weight * _sharding.Replicas > ShardingOptions.MaxPoints)
        {
            string together = weight == gateways ? "" : $" of weight {weight} together";
            throw new ResponseTooLargeException(
                $"{gateways} gateways{together} with sharding.replicas {_sharding.Replicas}: a ring has at most {ShardingOptions.MaxPoints} points");
        }
    }

    /// <summary>Reports repeated responses too: the reader compares them, and their age counts.</summary>
    private void Report(List<ServiceEntry> rows, bool isRepeated)
    {
        bool isEmpty = rows.Count == 0;
        bool wasUnreachable = _failure is not null && _failure != ConsulFailure.Empty;

        // At the start nothing may be registered until the first instance does it: warn only if that lasts.
        if (!isEmpty || _hadInstances || isRepeated) SetFailure(isEmpty ? ConsulFailure.Empty : null, "");
        if (wasUnreachable || isEmpty) Write(new DiscoveryEvent.RegistrationsInDoubt());
        _hadInstances |= !isEmpty;
        Write(isEmpty ? new DiscoveryEvent.NoResponse() : new DiscoveryEvent.Response(rows, _time.GetTimestamp(), IsConfirmation: false));
    }

    private void Write(DiscoveryEvent item)
    {
        if (item is DiscoveryEvent.Response or DiscoveryEvent.NoResponse) _isLost = item is DiscoveryEvent.NoResponse;
        _events.TryWrite(item);
    }

    private void RecordSuccess(QueryResult<List<ServiceEntry>> result, ulong index)
    {
        lock (_lock)
        {
            Volatile.Write(ref _lastIndex, index);
            _responses++;
            _status = _status with
            {
                LastGoodAnswer = _time.GetUtcNow(),
                LastError = null,
                ConsulIndex = index,
                ConsulLastContact = result.LastContact,
                ConsulKnownLeader = result.KnownLeader,
            };
        }
    }

    private void RecordFailure(Exception ex)
    {
        lock (_lock) _status = _status with { Failures = _status.Failures + 1, LastError = ex.Message };
        SetFailure(ConsulFailure.Of(ex), ex.Message);
        Log.ConsulQueryFailed(_logger, ex.Message);
        Write(new DiscoveryEvent.NoResponse());
    }

    /// <summary>Logs once per kind of failure, and when it is over.</summary>
    private void SetFailure(ConsulFailure? failure, string error)
    {
        lock (_lock)
        {
            if (failure == _failure) return;
            _failure = failure;
        }

        if (failure is null) Log.ConsulRecovered(_logger, _options.RegisterServiceName);
        else Log.ConsulFailure(_logger, failure.Name, error, failure.Advice(_options.RegisterServiceName));
    }
}

/// <summary>What makes <see cref="ConsulGatewaySource"/> evaluate the gateways again.</summary>
internal abstract record DiscoveryEvent
{
    /// <summary>A complete response that lists at least one instance.</summary>
    /// <param name="IsConfirmation">Requested by membership, which wants a report even when nothing changed.</param>
    public sealed record Response(List<ServiceEntry> Rows, long ReceivedAt, bool IsConfirmation) : DiscoveryEvent;

    /// <summary>A failure, or an empty list, which proves nothing.</summary>
    public sealed record NoResponse : DiscoveryEvent;

    /// <summary>Registrations may be gone: the list is empty, or Consul is back after a failure.</summary>
    public sealed record RegistrationsInDoubt : DiscoveryEvent;

    /// <summary>Membership is about to act and needs to know that Consul's last response still holds.</summary>
    public sealed record ConfirmationRequested : DiscoveryEvent;

    /// <summary>A probe's verdict changed, settings were reloaded, or time is up.</summary>
    public sealed record Changed : DiscoveryEvent;
}
