using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Outbound;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Our own probes, where Consul says nothing: of every configured gateway until its first response, then of the gateways that
/// <see cref="Complete"/> describes. Everything but <see cref="Hidden"/> is for one caller at a time.
/// </summary>
internal sealed class ProbeFallback : IAsyncDisposable
{
    private readonly ProbeSet _probes;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;

    /// <summary>Fires when an absent gateway has been absent for long enough to count as hidden.</summary>
    private readonly ITimer _timer;

    /// <summary>When configured gateways that pass our probe began to be absent from Consul's response.</summary>
    private readonly Dictionary<string, long> _absentSince = new(StringComparer.Ordinal);

    /// <summary>
    /// Passing in Consul, and shown to be alive by a check that ran or by one of our probes; until Consul reports another status.
    /// </summary>
    private HashSet<string> _proven = new(StringComparer.Ordinal);

    private volatile IReadOnlyList<string> _hidden = [];

    /// <param name="changed">Called when the verdicts should be completed again.</param>
    public ProbeFallback(PushgatewayOptions options, Action changed, ILogger logger, TimeProvider time, GatewayTls? tls)
    {
        _probes = new ProbeSet(options, changed, time, tls: tls);
        _logger = logger;
        _time = time;
        _timer = time.CreateTimer(_ => changed(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Configured, passing our probe, and absent from Consul's response for longer than a registration takes.</summary>
    public IReadOnlyList<string> Hidden => _hidden;

    /// <summary>Probes every configured gateway.</summary>
    public GatewayReport ProbeAll(PushgatewayOptions options) => _probes.Report(options);

    public void StopAll() => _probes.Stop(static _ => true);

    /// <summary>A gateway that is not allowed gets no request from us.</summary>
    public void StopRefused(ServerOptions options)
    {
        HashSet<string> configured = options.Pushgateway.Servers.ToHashSet(StringComparer.Ordinal);
        _probes.Stop(address => !options.Membership.Allow.Allows(address, configured.Contains(address)));
    }

    /// <summary>
    /// Adds our probes to Consul's verdicts where those say too little. An agent forwards a changed status at once, but a changed output up
    /// to five minutes later, so Consul cannot tell whether an overloaded gateway has died since, nor whether one whose first check was
    /// critical is dead or overloaded. Where Consul has no verdict, only an overload counts. Passing without output comes from a
    /// registration, not from a check: it counts once our own probe passed. A configured gateway that is absent from the response may be
    /// hidden by the token's permissions: it stays while our probe passes.
    /// </summary>
    /// <returns>Sorted by address.</returns>
    public ImmutableArray<GatewayVerdict> Complete(ImmutableArray<GatewayVerdict> verdicts, ServerOptions options)
    {
        HealthCheckOptions check = options.Pushgateway.HealthCheck;
        HashSet<string> configured = options.Pushgateway.Servers.ToHashSet(StringComparer.Ordinal);
        if (!check.Enabled) return AcceptConfigured(verdicts, configured, check);

        HashSet<string> absent = configured.Except(verdicts.Select(static v => v.Address)).ToHashSet(StringComparer.Ordinal);
        _probes.Update(
            [
                .. verdicts.Where(v => v.Overloaded || v.Health == GatewayHealth.Unknown || (v.IsUnproven && !_proven.Contains(v.Address)))
                    .Select(static v => v.Address).Where(address => options.Membership.Allow.Allows(address, configured.Contains(address))),
                .. absent,
            ],
            check);

        var all = new SortedDictionary<string, GatewayVerdict>(StringComparer.Ordinal);
        var proven = new HashSet<string>(StringComparer.Ordinal);
        foreach (GatewayVerdict verdict in verdicts)
        {
            GatewayVerdict? own = _probes.Verdict(verdict.Address);
            GatewayVerdict result = verdict.IsUnproven ? Prove(verdict, own)
                : own is { Health: not GatewayHealth.Unknown } && (verdict.Overloaded || own.Overloaded) ? own with { Foreign = verdict.Foreign, Weight = verdict.Weight }
                : verdict;
            all.Add(verdict.Address, result);
            if (verdict.Health == GatewayHealth.Passing && result.Health == GatewayHealth.Passing) proven.Add(verdict.Address);
        }

        foreach (string address in absent)
        {
            if (_probes.Verdict(address) is not { Health: not GatewayHealth.Unknown } own) continue;
            all.Add(address, own);
            if (own.Health == GatewayHealth.Passing) proven.Add(address);
        }

        // One passed probe proves a registration; later probes would not count.
        HashSet<string> done = verdicts.Where(v => v.IsUnproven && proven.Contains(v.Address)).Select(static v => v.Address).ToHashSet(StringComparer.Ordinal);
        _probes.Stop(done.Contains);
        _proven = proven;
        UpdateHidden([.. absent.Where(proven.Contains)], ConsulRegistrar.TimeToRegister(configured.Count) + check.Interval + check.Timeout);
        return [.. all.Values];
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        await _probes.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>
    /// Without health checks every configured gateway is a member, whatever check an earlier registration left behind. Only an operator's
    /// maintenance counts.
    /// </summary>
    private ImmutableArray<GatewayVerdict> AcceptConfigured(ImmutableArray<GatewayVerdict> verdicts, HashSet<string> configured, HealthCheckOptions check)
    {
        _probes.Update([], check);
        UpdateHidden([], TimeSpan.Zero);
        var all = new SortedDictionary<string, GatewayVerdict>(verdicts.ToDictionary(static v => v.Address, StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (string address in configured)
        {
            if (all.TryGetValue(address, out GatewayVerdict? verdict) && verdict.Health == GatewayHealth.Maintenance) continue;
            all[address] = new GatewayVerdict(address, GatewayHealth.Passing, false, GatewayVerdict.NotChecked) { Foreign = verdict?.Foreign ?? false, Weight = verdict?.Weight };
        }

        return [.. all.Values];
    }

    private GatewayVerdict Prove(GatewayVerdict verdict, GatewayVerdict? own)
    {
        if (_proven.Contains(verdict.Address) || own?.Health == GatewayHealth.Passing)
        {
            return verdict with { Output = "no check in Consul has run; our own probe passed" };
        }

        string result = own?.Output is { } output ? "our own probe failed: " + output : "our own probe has not passed yet";
        return verdict with { Health = GatewayHealth.Unknown, Output = GatewayVerdict.Shorten("passing in Consul without a check's output, and " + result) };
    }

    /// <summary>A gateway that is just being registered is absent too, for a moment, so only what lasts counts as hidden.</summary>
    private void UpdateHidden(IReadOnlyCollection<string> absent, TimeSpan grace)
    {
        foreach (string address in _absentSince.Keys.Except(absent, StringComparer.Ordinal).ToArray()) _absentSince.Remove(address);
        foreach (string address in absent) _absentSince.TryAdd(address, _time.GetTimestamp());

        ILookup<bool, (string Address, TimeSpan Left)> waiting = _absentSince.Select(a => (a.Key, Left: grace - _time.GetElapsedTime(a.Value)))
            .ToLookup(static a => a.Left > TimeSpan.Zero);

        // A timer counts whole milliseconds and may be early by a fraction of one.
        TimeSpan due = waiting[true].Any() ? waiting[true].Min(static a => a.Left) + TimeSpan.FromMilliseconds(1) : Timeout.InfiniteTimeSpan;
        _timer.Change(due, Timeout.InfiniteTimeSpan);

        string[] hidden = [.. waiting[false].Select(static a => a.Address).Order(StringComparer.Ordinal)];
        foreach (string address in hidden.Except(_hidden, StringComparer.Ordinal)) Log.GatewayHidden(_logger, address, ConsulFailure.HiddenAdvice);
        foreach (string address in _hidden.Except(hidden, StringComparer.Ordinal)) Log.GatewayNotHidden(_logger, address);
        _hidden = hidden;
    }
}
