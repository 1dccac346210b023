using System.Globalization;
using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Follows one service with blocking queries, one at a time. An index is a hint and nothing more: what counts is the content, and whatever
/// fails, the next question starts from the beginning.
/// </summary>
/// <remarks>
/// An index means something only to the agent that gave it. HttpClient by itself repeats a request over a new connection when it finds
/// the old one closed, and behind the new one may be an agent that has started anew: asked for what is newer than an index that it will
/// not reach for long, it would be silent for the whole wait. So a question with an index keeps to the connection of the last answer.
/// </remarks>
internal sealed class ConsulWatch : IDisposable
{
    /// <summary>Short: a query that is given up keeps its place in the agent until its wait is over.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(60);

    /// <summary>Of the question whether Consul still says so; much longer than an agent takes, shorter than any hold.</summary>
    private static readonly TimeSpan ConfirmTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Ten times what was ever measured.</summary>
    private const int MaxMembers = 10_000;

    private readonly ConsulOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ConnectGate _gate = new();
    private readonly ConsulClient _client;
    private readonly string _service;
    private readonly int _replicas;
    private readonly WatchRateLimiter _limiter;
    private readonly Backoff _backoff = new(Random.Shared);
    private readonly Lock _gateOfStatus = new();
    private ConsulFailure _trouble;
    private ulong _newest;
    private int _taken;
    private bool _answered;
    private volatile DiscoveryStatus _status = new(DiscoveryKind.Consul, null, 0, null, 0, null);

    /// <param name="options">How Consul is reached, and which service is followed.</param>
    /// <param name="token">Asked before each request.</param>
    /// <param name="logger">Hears of what lasts.</param>
    /// <param name="time">The clock.</param>
    /// <param name="replicas">Points of the ring per gateway.</param>
    public ConsulWatch(ConsulOptions options, Func<string?> token, ILogger logger, TimeProvider time, int replicas = 1)
    {
        _replicas = replicas;
        _options = options;
        _logger = logger;
        _time = time;
        _client = ConsulConnection.Open(options, token, time, _gate);
        _service = options.RegisterServiceName;
        _limiter = new WatchRateLimiter(time);
    }

    public DiscoveryStatus Status => _status;

    public void Dispose() => _client.Dispose();

    /// <param name="onRows">Told every complete answer that is not empty.</param>
    /// <param name="onLost">Told when there is no such answer: a failure, or an empty list, which proves nothing.</param>
    /// <param name="reconcile">Told when registrations may be gone: nobody is there, or Consul answers again after it could not be reached.</param>
    /// <param name="ct">Ends it.</param>
    public async Task RunAsync(Action<List<ServiceEntry>> onRows, Action onLost, Action reconcile, CancellationToken ct)
    {
        ulong index = 0;
        bool afresh = true;
        while (true)
        {
            await _limiter.WaitAsync(ct).ConfigureAwait(false);

            // Also right after an answer to a question from the start: a proxy may close the connection after each.
            _gate.IsOpen = afresh || index == 0;
            afresh = index == 0;
            try
            {
                QueryResult<List<ServiceEntry>> result = await _client.Health
                    .Service(_service, new QueryOptions(Mode(_options.Consistency), index, Wait), ct).ConfigureAwait(false);
                ulong newest = Math.Max(1, result.LastIndex ?? throw new InvalidDataException("the answer has no X-Consul-Index"));
                _backoff.Reset();
                if (newest < index)
                {
                    // A snapshot was restored or the cluster rebuilt: this answer may be of a passing moment, ask anew.
                    Log.ConsulIndexWentBackwards(_logger, index, newest);
                    index = 0;
                    continue;
                }

                if (index > 0 && newest < Volatile.Read(ref _newest))
                {
                    // A confirmation has brought something newer meanwhile: this is old news.
                    index = newest;
                    continue;
                }

                // Never half a list: what the token's rights hide would look like gateways that left.
                if (result.FilteredByAcls) throw new ConsulRequestException(HttpStatusCode.Forbidden, "the token's rights hide some instances", null);

                CheckSize(result.Response);
                Take(result, newest);
                ReportRows(result.Response, isNews: newest != index, onRows, onLost, reconcile);
                index = newest;
            }
            catch (HttpRequestException ex) when (ex.InnerException is ConnectionLostException)
            {
                index = 0;
            }
            catch (Exception ex) when (!ct.IsCancellationRequested)
            {
                // Whatever it is, a bug of ours included: the ring stays, the watch goes on.
                index = 0;
                Fail(ex);
                onLost();
                await Task.Delay(_backoff.Next((ex as ConsulRequestException)?.RetryAfter), _time, ct).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// One question beside the blocking one, which may hear nothing for a minute: whether Consul still says what it said. A response that is
    /// older than the watch's last (another server's, with stale reads) confirms nothing.
    /// </summary>
    /// <param name="client">Not the watch's own, whose one connection is busy with the blocking query.</param>
    /// <param name="confirmed">Told the rows of this moment.</param>
    /// <param name="onLost">Told when there is no usable response.</param>
    /// <param name="ct">Ends it.</param>
    /// <returns>False when there was no usable response.</returns>
    public async Task<bool> ConfirmAsync(ConsulClient client, Action<List<ServiceEntry>> confirmed, Action onLost, CancellationToken ct)
    {
        int taken = Volatile.Read(ref _taken);
        try
        {
            using var expiry = new CancellationTokenSource(ConfirmTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
            QueryResult<List<ServiceEntry>> result = await client.Health
                .Service(_service, new QueryOptions(Mode(_options.Consistency), 0, TimeSpan.Zero), either.Token).ConfigureAwait(false);
            ulong index = result.LastIndex ?? throw new InvalidDataException("the answer has no X-Consul-Index");
            if (index < Volatile.Read(ref _newest)) return true;
            if (result.FilteredByAcls) throw new ConsulRequestException(HttpStatusCode.Forbidden, "the token's rights hide some instances", null);
            CheckSize(result.Response);
            if (result.Response.Count == 0) throw new InvalidDataException("nobody is registered");
            Take(result, index);
            Enter(ConsulFailure.None, "");
            confirmed(result.Response);
            return true;
        }
        catch (Exception ex) when (!ct.IsCancellationRequested)
        {
            // The watch has heard something while this question waited.
            if (taken != Volatile.Read(ref _taken)) return true;
            Fail(ex is OperationCanceledException ? new TimeoutException($"no response within {ConfirmTimeout.TotalSeconds:0} s", ex) : ex);
            onLost();
            return false;
        }
    }

    private void Take(QueryResult<List<ServiceEntry>> result, ulong index)
    {
        lock (_gateOfStatus)
        {
            Volatile.Write(ref _newest, index);
            _taken++;
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

    private void Fail(Exception ex)
    {
        lock (_gateOfStatus) _status = _status with { Failures = _status.Failures + 1, LastError = ex.Message };
        Enter(ConsulFailures.Of(ex), ex.Message);
        Log.ConsulQueryFailed(_logger, ex.Message);
    }

    /// <summary>Tells every complete answer, a repeated one, too: the listener compares contents, and may have new settings to judge them by.</summary>
    private void ReportRows(List<ServiceEntry> rows, bool isNews, Action<List<ServiceEntry>> onRows, Action onLost, Action reconcile)
    {
        bool empty = rows.Count == 0;
        bool wasLost = _trouble is not (ConsulFailure.None or ConsulFailure.Empty);

        // At first nobody may be registered, until the first instance has done it: that is a warning only when it lasts.
        if (!empty || _answered || !isNews) Enter(empty ? ConsulFailure.Empty : ConsulFailure.None, "");
        if (wasLost || empty) reconcile();
        _answered |= !empty;
        if (empty) onLost();
        else onRows(rows);
    }

    /// <summary>A part of the list would be another ring than the others have, so all of it is taken or nothing.</summary>
    private void CheckSize(List<ServiceEntry> rows)
    {
        int gateways = rows.Select(static row => (row.Service?.Address is { Length: > 0 } own ? own : row.Node?.Address, row.Service?.Port)).Distinct().Count();
        if (gateways > MaxMembers) throw new ResponseTooLargeException($"{gateways} gateways: a ring has at most {MaxMembers} members");
        if ((long)gateways * _replicas > ShardingOptions.MaxPoints)
            throw new ResponseTooLargeException($"{gateways} gateways with sharding.replicas {_replicas}: a ring has at most {ShardingOptions.MaxPoints} points");
    }

    /// <summary>Says a trouble once, when it begins or changes, and that it is over.</summary>
    private void Enter(ConsulFailure trouble, string error)
    {
        lock (_gateOfStatus)
        {
            if (trouble == _trouble) return;
            _trouble = trouble;
        }

        if (trouble == ConsulFailure.None)
        {
            Log.ConsulRecovered(_logger, _service);
            return;
        }

        Log.ConsulFailure(_logger, trouble.ToString().ToLower(CultureInfo.InvariantCulture), error, ConsulFailures.Advice(trouble, _service));
    }

    private static ConsistencyMode Mode(ConsulConsistency consistency) => consistency switch
    {
        ConsulConsistency.Default => ConsistencyMode.Default,
        ConsulConsistency.Consistent => ConsistencyMode.Consistent,
        _ => ConsistencyMode.Stale,
    };
}
