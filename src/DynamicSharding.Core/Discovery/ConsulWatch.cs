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
/// A row has 1.3 kB, and each copy of a gateway has one. So a blocking query selects the rows that fail: it ends at the same moment and with the
/// same index as one for the whole list. If a check of them explains the index, those rows and the last list are the new list. The whole one
/// is read when nothing explains the index, and some seconds after one that was explained, when not every instance does it at once.
///
/// An index means something only to the agent that returned it. HttpClient silently repeats a request on a new connection when it finds the
/// old one closed, and behind the new one may be an agent that has restarted: it would not reach the index for a long time and stay silent
/// for the whole wait. So a query with an index never leaves the connection of the last response.
/// </remarks>
internal sealed class ConsulWatch : IDisposable
{
    /// <summary>For the list after its index has moved. Only a server that lags behind the one that told us needs some.</summary>
    private static readonly TimeSpan ReadWait = TimeSpan.FromSeconds(5);

    /// <summary>A change wakes every instance in the same millisecond. They query again one after the other.</summary>
    private static readonly TimeSpan Spread = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Per row, when the list was read a moment ago: while a catalog fills, an instance would otherwise do nothing but read it.
    /// </summary>
    private static readonly TimeSpan SpreadOfRow = TimeSpan.FromMilliseconds(2);

    /// <summary>A query that takes no longer has not waited for a change: it came before the query.</summary>
    private static readonly TimeSpan Immediate = TimeSpan.FromMilliseconds(100);

    /// <summary>Much longer than an agent takes, shorter than any hold.</summary>
    private static readonly TimeSpan ConfirmTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Between confirmations that fail, while the watch fails too.</summary>
    private static readonly TimeSpan ConfirmPause = TimeSpan.FromSeconds(5);

    private readonly ConsulOptions _options;
    private readonly Func<string?> _token;
    private readonly ConsulListQuery _query;
    private readonly ChannelWriter<DiscoveryEvent> _events;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly PollPlan _plan;
    private readonly long _origin;
    private readonly ConnectGate _gate = new();
    private readonly ConsulClient _client;

    /// <summary>Blocking queries that keep returning at once must not spin.</summary>
    private readonly RateLimiter _limiter;
    private readonly Backoff _backoff;

    /// <summary>Guards what the watch and a confirmation both write.</summary>
    private readonly Lock _lock = new();
    private readonly ListPace _pace = new();
    private ConsulFailure? _failure;

    /// <summary>The last list, and its index.</summary>
    private List<ServiceEntry> _rows = [];
    private ulong _lastIndex;
    private int _responses;

    /// <summary>The watch follows that index, or a later one, on an unbroken connection: the same index means the same list, or one as well explained.</summary>
    private bool _isFollowed;
    private volatile bool _isLost = true;
    private volatile DiscoveryStatus _status = new(DiscoveryKind.Consul, null, 0, null, 0, null);

    private bool _hadInstances;
    private volatile bool _isWaiting;

    /// <summary>The token with which the watch last read the whole list.</summary>
    private string? _readWith;

    /// <param name="token">Called before each request.</param>
    /// <param name="sharding">A list that makes a larger ring than there may be is not used.</param>
    /// <param name="events">Unbounded.</param>
    /// <param name="random">Spreads what instances do.</param>
    public ConsulWatch(
        ConsulOptions options,
        Func<string?> token,
        ShardingOptions sharding,
        ChannelWriter<DiscoveryEvent> events,
        ILogger logger,
        TimeProvider time,
        Random? random = null)
    {
        _options = options;
        _token = token;
        _query = new ConsulListQuery(options, sharding, logger, time);
        _events = events;
        _logger = logger;
        _time = time;
        _origin = time.GetTimestamp();
        _random = random ?? Random.Shared;
        _plan = new PollPlan(time, _random);
        _backoff = new Backoff(_random);
        _client = ConsulConnection.Open(options, token, time, _gate);
        _limiter = new RateLimiter(time, burst: 2, rate: 1);
    }

    public DiscoveryStatus Status => _status;

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>A query waits for the next change: nothing that is known here is unread.</summary>
    public bool IsWaiting => _isWaiting;

    public void Dispose() => _client.Dispose();

    /// <summary>Runs until it is canceled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        ulong index = 0;
        bool startsOver = true;
        while (true)
        {
            await _limiter.WaitAsync(ct).ConfigureAwait(false);
            await PauseAsync(ct).ConfigureAwait(false);

            // Another token may see another list, under the same index.
            if (_token() != _readWith) index = 0;

            // Open also for the query after the first response: a proxy may close the connection after each one.
            _gate.IsOpen = startsOver || index == 0;
            startsOver = index == 0;
            try
            {
                index = await NextAsync(index, ct).ConfigureAwait(false);
            }
            catch (Exception ex) when (index != 0 && IsExpected(ex))
            {
                index = 0;
                StopFollowing();
            }
            catch (Exception ex)
            {
                // Whatever fails at the end of the process is no failure.
                ct.ThrowIfCancellationRequested();

                // Whatever failed, even a bug: the ring stays and the watch continues.
                index = 0;
                StopFollowing();
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

    /// <summary>No failure: the connection of an index is gone, or a proxy did not wait as long as we did.</summary>
    private static bool IsExpected(Exception ex) =>
        ex is HttpRequestException { InnerException: ConnectionLostException } or ConsulRequestException { StatusCode: HttpStatusCode.GatewayTimeout };

    /// <summary>Makes one blocking query, or reads the list without an index.</summary>
    /// <returns>The index to continue with; 0 to start over.</returns>
    private async Task<ulong> NextAsync(ulong index, CancellationToken ct)
    {
        string? token = _token();
        RowSelection selection;
        TimeSpan wait;
        lock (_lock) (selection, wait) = _plan.Next(index, _rows);
        ListResponse response;
        long begun = _time.GetTimestamp();
        try
        {
            _isWaiting = index != 0;
            response = index == 0
                ? await ReadListAsync(_client, 0, wait, ct).ConfigureAwait(false)
                : await _query.RunAsync(_client, index, wait, selection, ct).ConfigureAwait(false);
        }
        finally
        {
            _isWaiting = false;
        }

        _backoff.Reset();
        if (response.Index < index) return StartOver(index, response.Index);
        bool isPatched = false;
        if (!response.IsList && response.Index > Volatile.Read(ref _lastIndex))
        {
            // The index of a query that did not wait may be of the last of several changes, of which one explains nothing.
            bool hasWaited = _time.GetElapsedTime(begun) > Immediate;
            List<ServiceEntry>? rows = hasWaited && response.Selection == Selection.Failing ? Patch(index, response) : null;
            isPatched = rows is not null;
            if (rows is null)
            {
                await PauseAsync(ct).ConfigureAwait(false);
                TimeSpan pause = SpreadOfRow * _rows.Count;
                await SpreadAsync(pause > Spread && _plan.Age < pause * 2 ? pause : Spread, ct).ConfigureAwait(false);

                // The same query for the list returns at once. With stale reads another server may respond: one that lags behind waits until it
                // has news, too. Neither leaves the connection.
                _gate.IsOpen = false;
                token = _token();
                response = await ReadListAsync(_client, index, ReadWait, ct).ConfigureAwait(false);
                if (response.Index < index) return StartOver(index, response.Index);
            }
            else
            {
                response = response with { Rows = rows, Selection = Selection.All };
            }
        }

        if (response.IsList && !isPatched) _readWith = token;

        lock (_lock)
        {
            _plan.Responded(response, isPatched);

            // A confirmation may have brought something newer in the meantime, or read what was only explained; then this response is outdated.
            if (isPatched ? _lastIndex != index : index != 0 && response.Index < _lastIndex) return response.Index;
            RecordSuccess(response, isPatched);
            _isFollowed = true;
            Report(_rows, isRepeated: response.Index == index);
        }

        if (isPatched) await SpreadAsync(Spread, ct).ConfigureAwait(false);
        return response.Index;
    }

    private Task SpreadAsync(TimeSpan most, CancellationToken ct) => Task.Delay(most * _random.NextDouble(), _time, ct);

    /// <summary>Leaves Consul alone for as long as it needs. A poll would end with the next change, and its filter is work for the servers, too.</summary>
    private Task PauseAsync(CancellationToken ct)
    {
        TimeSpan left;
        lock (_lock) left = _pace.Left(Now);
        return left > TimeSpan.Zero ? Task.Delay(left, _time, ct) : Task.CompletedTask;
    }

    /// <summary>Reads the list at once, and notes how long that takes.</summary>
    private async Task<ListResponse> ReadListAsync(ConsulClient client, ulong index, TimeSpan wait, CancellationToken ct)
    {
        TimeSpan begun = Now;
        try
        {
            return await _query.RunAsync(client, index, wait, RowSelection.All, ct).ConfigureAwait(false);
        }
        finally
        {
            TimeSpan now = Now;
            lock (_lock) _pace.Took(now - begun, now);
        }
    }

    /// <returns>Null if the list has to be read.</returns>
    private List<ServiceEntry>? Patch(ulong index, ListResponse response)
    {
        List<ServiceEntry>? rows;
        lock (_lock)
        {
            // A confirmation may have read a list that this response is not based on.
            rows = _lastIndex == index ? RowPatch.Apply(_rows, response.Rows, index, response.Index) : null;
        }

        // A new row makes the list longer, and one that passes again may have another weight.
        if (rows is not null) _query.CheckSize(rows);
        return rows;
    }

    /// <summary>A snapshot was restored or the cluster rebuilt. That response may show a passing moment: query again.</summary>
    private ulong StartOver(ulong index, ulong newIndex)
    {
        Log.ConsulIndexWentBackwards(_logger, index, newIndex);
        StopFollowing();
        return 0;
    }

    private async Task TryConfirmAsync(ConsulClient client, CancellationToken ct)
    {
        // All instances heard of the change that is to be confirmed in the same millisecond.
        await SpreadAsync(Spread, ct).ConfigureAwait(false);
        int responses = Volatile.Read(ref _responses);
        using var expiry = new CancellationTokenSource(ConfirmTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            // First the index alone: while the watch follows it, the list is the same.
            bool isFollowed, isPaused;
            lock (_lock) (isFollowed, isPaused) = (_isFollowed && !_isLost && _rows.Count > 0, _pace.Left(Now) > TimeSpan.Zero);
            if (isFollowed && isPaused) return;
            ListResponse response = isFollowed
                ? await _query.RunAsync(client, 0, TimeSpan.Zero, RowSelection.None, either.Token).ConfigureAwait(false)
                : await ReadListAsync(client, 0, TimeSpan.Zero, either.Token).ConfigureAwait(false);
            if (!response.IsList)
            {
                if (TryConfirm(response)) return;
                response = await ReadListAsync(client, 0, TimeSpan.Zero, either.Token).ConfigureAwait(false);
            }

            lock (_lock)
            {
                // With stale reads a server that lags behind may respond. That confirms nothing.
                if (response.Index < _lastIndex) return;
                if (response.Rows.Count == 0) throw new InvalidDataException("no instance is registered");
                RecordSuccess(response);
                Confirmed();
            }
        }
        catch (Exception ex)
        {
            ct.ThrowIfCancellationRequested();

            // No failure if the watch got a response in the meantime.
            if (responses != Volatile.Read(ref _responses)) return;
            RecordFailure(ex is OperationCanceledException ? new TimeoutException($"no response within {ConfirmTimeout.TotalSeconds:0} s", ex) : ex);
        }
    }

    /// <summary>The last list holds if its index does. A server without a leader is a reason to read it, too.</summary>
    /// <returns>False if the list has to be read.</returns>
    private bool TryConfirm(ListResponse response)
    {
        lock (_lock)
        {
            if (!_isFollowed || _isLost || response.Index > _lastIndex || (_status.ConsulKnownLeader == true && response.KnownLeader == false)) return false;

            // A server that lags behind has responded. That confirms nothing, and its list would not either.
            if (response.Index < _lastIndex) return true;
            RecordSuccess(response);
            Confirmed();
            return true;
        }
    }

    private void Confirmed()
    {
        SetFailure(null, "");
        Write(new DiscoveryEvent.Response(_rows, _time.GetTimestamp(), IsConfirmation: true));
    }

    private void StopFollowing()
    {
        lock (_lock) _isFollowed = false;
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
        Write(isEmpty ? new DiscoveryEvent.NoResponse(IsEmpty: true) : new DiscoveryEvent.Response(rows, _time.GetTimestamp(), IsConfirmation: false));
    }

    private void Write(DiscoveryEvent item)
    {
        if (item is DiscoveryEvent.Response or DiscoveryEvent.NoResponse) _isLost = item is DiscoveryEvent.NoResponse;
        _events.TryWrite(item);
    }

    private void RecordSuccess(ListResponse response, bool isPatched = false)
    {
        lock (_lock)
        {
            if (response.IsList)
            {
                _plan.Replaced(isPatched, response.Rows.Count > _rows.Count);
                _rows = response.Rows;
            }

            Volatile.Write(ref _lastIndex, response.Index);
            _responses++;
            _status = _status with
            {
                LastGoodAnswer = _time.GetUtcNow(),
                LastError = null,
                ConsulIndex = response.Index,
                ConsulLastContact = response.LastContact,
                ConsulKnownLeader = response.KnownLeader,
            };
        }
    }

    private void RecordFailure(Exception ex)
    {
        lock (_lock) _status = _status with { Failures = _status.Failures + 1, LastError = ex.Message };
        ConsulFailure failure = ConsulFailure.Of(ex);
        bool isNew = SetFailure(failure, ex.Message);
        Log.ConsulQueryFailed(_logger, ex.Message);
        Write(new DiscoveryEvent.NoResponse(IsEmpty: false));

        // The agent has the token of the registrations, too.
        if (isNew && failure == ConsulFailure.Forbidden) Write(new DiscoveryEvent.RegistrationsInDoubt());
    }

    /// <summary>Logs once per kind of failure, and when it is over.</summary>
    /// <returns>False if nothing changed.</returns>
    private bool SetFailure(ConsulFailure? failure, string error)
    {
        lock (_lock)
        {
            if (failure == _failure) return false;
            _failure = failure;
        }

        if (failure is null) Log.ConsulRecovered(_logger, _options.RegisterServiceName);
        else Log.ConsulFailure(_logger, failure.Name, error, failure.Advice(_options.RegisterServiceName));
        return true;
    }
}
