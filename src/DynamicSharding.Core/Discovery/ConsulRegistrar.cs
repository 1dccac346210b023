using System.Collections.Immutable;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using DynamicSharding.Outbound;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Keeps the configured gateways registered: two agents have each, and <see cref="CopyPlan"/> decides whether ours is one of them. It reads
/// first and writes only what is missing or different, because every write resets the counters and timers of a check. See
/// docs/decisions/0005-registration.md and 0021-who-registers.md.
/// </summary>
internal sealed class ConsulRegistrar
{
    /// <summary>A round ends after this, so that the next one begins with another reading, and a reload does not wait.</summary>
    private static readonly TimeSpan LongestRound = TimeSpan.FromSeconds(2);

    /// <summary>A token or a password may have a new file.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>An instance that gets no list from Consul then keeps its gateways registered without it.</summary>
    private static readonly TimeSpan ListTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Surplus copies go when the list is quiet, and a batch at a time: every change makes each instance read the whole list.</summary>
    private const int MaxTrims = 25;
    private static readonly TimeSpan QuietBeforeTrim = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BetweenTrims = TimeSpan.FromMinutes(1);

    /// <summary>So many at once, then so many a second: instances that fill an empty catalog together see each other's copies late.</summary>
    private const int NewCopies = 100;
    private const int NewCopiesPerSecond = 20;

    /// <summary>Before it writes, an instance asks for the copies of so many gateways, and trusts the response for so long.</summary>
    private const int MaxAsked = 25;
    private static readonly TimeSpan AskingLasts = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan MinDeregisterAfter = TimeSpan.FromMinutes(1);

    private readonly AgentRegistrations _agent;
    private readonly Func<string?> _token;
    private readonly ShardingKey _key;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly CopyPlan _plan;
    private readonly AgentReadings _readings;
    private readonly RegistrationTrouble _trouble;
    private readonly long _origin;

    private readonly RateLimiter _newCopies;

    /// <summary>One slot: a request to look again.</summary>
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Guards what other threads write: the options, which gateways to deregister, and the list.</summary>
    private readonly Lock _lock = new();

    private readonly HashSet<string> _leaving = new(StringComparer.Ordinal);

    private PushgatewayOptions _options;
    private GatewayCredentials? _credentials;

    /// <summary>Consul's last list; null before the first.</summary>
    private IReadOnlyList<ServiceEntry>? _rows;
    private TimeSpan _rowsAt;

    /// <summary>Of these rows.</summary>
    private IReadOnlyList<ServiceEntry>? _countedRows;
    private bool _countedWithCheck;
    private GatewayCopies? _copies;

    private TimeSpan _nextTrim;

    /// <summary>When the wait for the first list ends. It begins when our agent responds.</summary>
    private TimeSpan _listUntil = TimeSpan.MaxValue;

    /// <param name="token">Called before each request.</param>
    /// <param name="random">Spreads what instances do.</param>
    public ConsulRegistrar(
        ConsulClient client,
        Func<string?> token,
        ServerOptions options,
        ILogger logger,
        TimeProvider time,
        SpellingWatch? spellings = null,
        Random? random = null)
    {
        _token = token;
        _key = options.Sharding.Key;
        _agent = new AgentRegistrations(client, options, spellings ?? new SpellingWatch(_key, logger), logger);
        _logger = logger;
        _time = time;
        _origin = time.GetTimestamp();
        _random = random ?? Random.Shared;
        _plan = new CopyPlan(_random);
        _readings = new AgentReadings(_random);
        _trouble = new RegistrationTrouble(options.Consul.RegisterServiceName, options.Consul.Addr, logger);
        _newCopies = new RateLimiter(time, NewCopies, NewCopiesPerSecond);
        _options = options.Pushgateway;
        _credentials = GatewayCredentials.From(_options);
        WarnAboutMinimum(_options);
    }

    public long Writes => _agent.Writes;

    public long Failures => _trouble.Count;

    /// <summary>What keeps registrations from being as they should be; null once they are again.</summary>
    public string? LastError => _trouble.Error;

    /// <summary>How long a gateway may be without a registration until one instance has registered so many, and they are in the list.</summary>
    public static TimeSpan TimeToRegister(int gateways) =>
        CopyPlan.LongestWait(gateways) + TimeSpan.FromSeconds(2 + (Math.Max(0, gateways - NewCopies) / NewCopiesPerSecond));

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>Registrations on our agent may be gone.</summary>
    public void ReconcileNow()
    {
        _readings.Doubt();
        Wake();
    }

    /// <summary>Takes Consul's whole list: which agents have the gateways. Never waits.</summary>
    public void Observe(IReadOnlyList<ServiceEntry> rows)
    {
        lock (_lock)
        {
            // A confirmation brings the same list again.
            if (ReferenceEquals(rows, _rows)) return;
            _rows = rows;
            _rowsAt = Now;
        }

        Wake();
    }

    /// <summary>Deregisters the gateways that the new file no longer names, where our agent has them.</summary>
    public void Apply(ServerOptions options)
    {
        lock (_lock)
        {
            // A file without gateways leaves them to Consul: what is registered stays.
            if (!options.Pushgateway.Servers.IsEmpty) _leaving.UnionWith(_options.Servers);
            _leaving.ExceptWith(options.Pushgateway.Servers);
            _options = options.Pushgateway;
            _credentials = GatewayCredentials.From(_options);
        }

        WarnAboutMinimum(options.Pushgateway);
        ReconcileNow();
    }

    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            try
            {
                if (await StepAsync(ct).ConfigureAwait(false))
                {
                    _readings.Succeeded();

                    // That our agent was read shows nothing while there is something to write.
                    if (Copies() is not null && _plan.NextWrite is null) _trouble.Succeeded();
                }
            }
            catch (Exception ex)
            {
                ct.ThrowIfCancellationRequested();
                _trouble.Failed(ex);
                _readings.Failed(Now, (ex as ConsulRequestException)?.RetryAfter);
            }

            await PauseAsync(UntilNext(), ct).ConfigureAwait(false);
        }
    }

    /// <summary>Does what is due, if anything is.</summary>
    /// <returns>True if our agent was asked, and responded well.</returns>
    private async Task<bool> StepAsync(CancellationToken ct)
    {
        TimeSpan now = Now;
        Wanted wanted;
        ImmutableArray<string> leaving;
        lock (_lock)
        {
            wanted = new Wanted(_options, _credentials?.Authorization(), _token());
            leaving = [.. _leaving];
        }

        ImmutableArray<string> servers = wanted.Options.Servers;
        if (_plan.Update(servers, Copies(), now)) _readings.Doubt();
        _readings.Begin(wanted, now);
        ImmutableArray<string> trims = DueTrims(now);
        bool mustRead = _readings.IsDue(now) || _plan.NextLook <= now || !leaving.IsEmpty || !trims.IsEmpty;
        if ((!mustRead && !_plan.IsWriteDue(now)) || _readings.IsPaused(now)) return false;

        mustRead |= _readings.IsOutdated(now);
        if (mustRead)
        {
            await _agent.ReadAsync(servers, ct).ConfigureAwait(false);
            now = Now;
            if (_listUntil == TimeSpan.MaxValue) _listUntil = now + ListTimeout;
            if (_plan.Found(servers, _agent.Has, now) is { IsEmpty: false } lost) _trouble.LostAgain(lost);
            else if (!_plan.IsAgentForgetful) _trouble.Kept();
        }

        foreach (string address in leaving)
        {
            await _agent.RemoveAsync(address, ct).ConfigureAwait(false);
            _plan.Removed(address);
            lock (_lock) _leaving.Remove(address);
        }

        if (mustRead)
        {
            // What other agents have is up to the instances next to them.
            foreach (string address in servers) await _agent.ReplaceAsync(address, wanted, ct).ConfigureAwait(false);
            ImmutableArray<string> uncheckedCopies = Copies() is { } copies ? [.. servers.Where(copies.IsUnchecked).Where(_agent.HasMarked)] : [];
            if (!uncheckedCopies.IsEmpty) await _agent.RestoreChecksAsync(uncheckedCopies, wanted, ct).ConfigureAwait(false);
        }

        await WriteMissingAsync(wanted, ct).ConfigureAwait(false);
        await TrimAsync(trims, wanted, ct).ConfigureAwait(false);
        if (mustRead) _readings.Finished(wanted, now);
        return true;
    }

    /// <summary>In Consul's latest list; null before the first, unless none comes.</summary>
    private GatewayCopies? Copies()
    {
        IReadOnlyList<ServiceEntry>? rows;
        bool needsCheck;
        lock (_lock) (rows, needsCheck) = (_rows, _options.HealthCheck.Enabled);
        if (rows is null) return Now >= _listUntil ? GatewayCopies.None : null;
        if (ReferenceEquals(rows, _countedRows) && needsCheck == _countedWithCheck) return _copies;
        (_countedRows, _countedWithCheck, _copies) = (rows, needsCheck, GatewayCopies.Of(rows, _key, needsCheck));
        return _copies;
    }

    private async Task WriteMissingAsync(Wanted wanted, CancellationToken ct)
    {
        TimeSpan start = Now, askedAt = start;
        GatewayCopies? current = null;
        HashSet<string> asked = [];

        // An instance without a list counts none: it registers what its own agent lacks.
        bool hasList;
        lock (_lock) hasList = _rows is not null;
        _plan.Update(wanted.Options.Servers, Copies(), start);

        // What our own agent had may be missing for everyone: it comes first, and at any rate. The rest by the time of its wait, so that instances
        // that are late together do not write in the same order.
        string[] servers = [.. wanted.Options.Servers.OrderByDescending(_plan.IsUrgent).ThenBy(_plan.WriteAt)];
        foreach (string address in servers)
        {
            if (!_plan.ShouldWrite(address, Copies(), Now)) continue;
            bool isUrgent = _plan.IsUrgent(address);
            if (!isUrgent && Now - start > LongestRound) return;
            if (!_plan.IsLost(address))
            {
                // Where many instances wait and the list comes late, several have waits that have ended. A write is read by all of them.
                if (hasList && (!asked.Contains(address) || Now - askedAt > AskingLasts))
                {
                    asked = [.. servers.SkipWhile(each => each != address).Where(each => _plan.ShouldWrite(each, Copies(), Now)).Take(MaxAsked)];
                    if (!asked.Contains(address)) continue;
                    current = await _agent.CopiesNowAsync([.. asked], wanted, ct).ConfigureAwait(false);
                    askedAt = Now;
                }

                if (current is not null && !_plan.IsStillMissing(address, current))
                {
                    _plan.WaitAgain(address, Now);
                    continue;
                }
            }

            if (!isUrgent)
            {
                await _newCopies.WaitAsync(ct).ConfigureAwait(false);
                if (!_plan.ShouldWrite(address, Copies(), Now)) continue;
            }

            await _agent.WriteAsync(address, wanted, ct).ConfigureAwait(false);
            _plan.Written(address, Now);
        }
    }

    /// <summary>Removes copies of ours that are too many.</summary>
    private async Task TrimAsync(ImmutableArray<string> due, Wanted wanted, CancellationToken ct)
    {
        foreach (string address in due) _plan.Postpone(address, Now);
        ImmutableArray<string> ours = [.. due.Where(_agent.HasMarked).Take(MaxTrims)];
        if (ours.IsEmpty) return;
        _nextTrim = Now + BetweenTrims;
        foreach (string address in await _agent.SurplusAsync(ours, wanted, ct).ConfigureAwait(false))
        {
            await _agent.TrimAsync(address, ct).ConfigureAwait(false);
            _plan.Removed(address);
        }
    }

    /// <summary>The gateways whose copy on our agent may go now.</summary>
    private ImmutableArray<string> DueTrims(TimeSpan now)
    {
        if (now < _nextTrim || _plan.DueTrims(now) is not { IsEmpty: false } due) return [];
        lock (_lock)
        {
            if (now - _rowsAt >= QuietBeforeTrim) return due;
        }

        // Instances that wait for the same list to be quiet do not go on together.
        _nextTrim = now + QuietBeforeTrim + (BetweenTrims * _random.NextDouble());
        return [];
    }

    private void WarnAboutMinimum(PushgatewayOptions options)
    {
        if (options.HealthCheck.DeregisterCriticalAfter is { } after && after < MinDeregisterAfter) Log.DeregisterAfterBelowMinimum(_logger, GoDuration.Format(after));
    }

    private static TimeSpan Later(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private void Wake() => _wakes.Writer.TryWrite(true);

    private TimeSpan UntilNext()
    {
        TimeSpan now = Now, next = TimeSpan.MaxValue;
        if (_plan.NextWrite is { } write && write < next) next = write;
        if (_plan.NextLook is { } look && look < next) next = look;
        if (_plan.NextTrim is { } trim && Later(trim, _nextTrim) < next) next = Later(trim, _nextTrim);
        lock (_lock)
        {
            if (_rows is null && now < _listUntil && _listUntil < next) next = _listUntil;
        }

        next = _readings.Next(next);
        if (next - now > LongestPause) next = now + LongestPause;

        // A timer counts whole milliseconds and may be early by a fraction of one.
        return next > now ? next - now + TimeSpan.FromMilliseconds(1) : TimeSpan.FromMilliseconds(1);
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken ct)
    {
        using var expiry = new CancellationTokenSource(pause, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, expiry.Token);
        try
        {
            await _wakes.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
        }
    }
}
