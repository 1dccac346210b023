using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>
/// Decides which gateways are in the ring. Every needless move of a group leaves a stale copy behind, so changes are damped: they settle,
/// joiners must stay healthy for a while, and the loss of many at once counts only if it lasts. Nothing here waits, logs or publishes: the
/// caller passes in what happened, and calls again at <see cref="NextDeadline"/>. One caller at a time.
/// </summary>
internal sealed class MembershipPolicy(MembershipOptions options, TimeProvider time)
{
    /// <summary>How long a removed gateway must be gone to count as new: longer than other instances need to register it again.</summary>
    private static readonly TimeSpan RemovalMemory = TimeSpan.FromMinutes(10);

    private readonly SortedDictionary<string, Candidate> _candidates = new(StringComparer.Ordinal);
    private readonly RingHistory _history = new();
    private readonly ReportClock _clock = new(time);
    private MembershipOptions _options = options;
    private TimeSpan _verdictTimeout = Timeout.InfiniteTimeSpan;
    private TimeSpan? _pendingSince;

    /// <summary>The ring of the last decision; empty before the first, and after a reload that allows none of its members.</summary>
    public ImmutableArray<string> Members { get; private set; } = [];

    /// <summary>Of the members in that ring, in their order. They differ from the candidates' until the next decision.</summary>
    public ImmutableArray<int> Weights { get; private set; } = [];

    public bool HasVerdict => _candidates.Values.All(static c => c is { Configured: false, InRing: false } || c.HasVerdict);

    /// <summary>The time until something may change without a report; null if nothing can.</summary>
    public TimeSpan? NextDeadline { get; private set; }

    /// <summary>
    /// Members were lost, and since then no gateway was healthy, or none for long enough. Removing them, or their maintenance, does not end an outage:
    /// no gateway becomes healthy by that.
    /// </summary>
    public bool IsOutage { get; private set; }

    /// <summary>The last report is too old to decide anything.</summary>
    public bool IsStale => _clock.IsStale;

    /// <summary>
    /// Sets the configured gateways. At the start they are the ring; at a reload the removed ones leave at once, and new weights take effect.
    /// </summary>
    /// <param name="weights">By address; a gateway that is not listed has the weight that discovery says, or 1.</param>
    public PolicyDecision? Configure(
        ImmutableArray<string> servers, MembershipOptions options, IReadOnlyDictionary<string, int>? weights = null)
    {
        TimeSpan now = _clock.Now;
        _options = options;
        var configured = servers.ToHashSet(StringComparer.Ordinal);
        foreach (Candidate candidate in _candidates.Values)
        {
            // A gateway that something else registers stays in Consul's hands, and so do all when the file no longer names any.
            if (candidate.Configured && configured.Count > 0 && !configured.Contains(candidate.Address)) candidate.Removed = !candidate.Foreign;
            candidate.Configured = false;
            candidate.ConfiguredWeight = null;
        }

        foreach (string address in configured)
        {
            Candidate candidate = GetOrAdd(address, now);
            candidate.Configured = true;
            candidate.ConfiguredWeight = weights is not null && weights.TryGetValue(address, out int weight) ? weight : null;
            candidate.Removed = false;
        }

        foreach (Candidate candidate in _candidates.Values) candidate.Refused = !options.Allow.Allows(candidate.Address, candidate.Configured);
        ImmutableArray<string> listed = [.. configured.Where(address => _candidates[address].Weight > 0).Order(StringComparer.Ordinal)];
        if (Members.IsEmpty && !listed.IsEmpty) return Publish(listed, RingChangeCause.Start, "configured", now);
        ImmutableArray<string> staying = [.. Members.Where(m => _candidates[m] is { Removed: false, Refused: false, Weight: > 0 })];
        if (IsCurrent(staying)) return Decide(now);
        if (staying.IsEmpty)
        {
            // Removed gateways serve until another joins. Gateways that are no longer allowed do not: the configured ones become the ring,
            // as at the start, even if there are none.
            if (!Members.Any(m => _candidates[m].Refused)) return Decide(now);
            staying = listed;
        }

        ImmutableArray<string> gone = [.. Members.Except(staying)];
        _history.Remove(gone);
        return Publish(staying, RingChangeCause.Reload, RingChangeText.OfReload(Members, Weights, gone, staying, _candidates), now);
    }

    public PolicyDecision? Observe(GatewayReport report)
    {
        if (report.Interrupted)
        {
            _clock.Interrupt();
            return Decide(_clock.Now);
        }

        bool restartsTimeouts = _clock.IsInterrupted || report.Adopt;
        _clock.OnReport(report, isPending: NextDeadline is not null);
        _verdictTimeout = report.VerdictTimeout;
        TimeSpan now = _clock.Now;
        foreach (Candidate candidate in _candidates.Values) candidate.Reported = false;
        foreach (GatewayVerdict verdict in report.Verdicts)
        {
            Candidate candidate = GetOrAdd(verdict.Address, now);
            candidate.Reported = true;
            candidate.GoneSince = null;
            candidate.Update(verdict, now);
            if (candidate.Foreign) candidate.Removed = false;
        }

        foreach (Candidate candidate in _candidates.Values)
        {
            if (!candidate.Reported)
            {
                candidate.GoneSince ??= now;
                if (!candidate.InRing && now - candidate.GoneSince >= RemovalMemory) candidate.Removed = false;
                candidate.Update(report.IsList ? NotListed(candidate) : new GatewayVerdict(candidate.Address, GatewayHealth.Unknown, false, null), now);
            }

            if (restartsTimeouts) candidate.RestartVerdictTimeout(now);
        }

        return (report.Adopt ? Adopt(now) : report.IsList && _history.IsEmpty ? Begin(now) : null) ?? Decide(now);
    }

    /// <summary>That a list does not name it any more is a finding: it is not waited for.</summary>
    private static GatewayVerdict NotListed(Candidate candidate) => new(candidate.Address, GatewayHealth.Critical, false, "no longer listed by discovery");

    /// <summary>The first list is the first ring: gateways that are dead leave it as they leave that of a static list.</summary>
    private PolicyDecision? Begin(TimeSpan now)
    {
        ImmutableArray<string> listed = [.. _candidates.Values.Where(static c => c is { Reported: true, IsExcluded: false }).Select(static c => c.Address)];
        return listed.IsEmpty ? null : Publish(listed, RingChangeCause.Start, "first list of discovery", now);
    }

    /// <summary>Decides what time alone changes. With a source that must be fresh that is what the time just after its last report changes.</summary>
    public PolicyDecision? Tick() => Decide(_clock.Now);

    /// <summary>Without those that are only remembered as removed.</summary>
    public ImmutableArray<GatewayStatus> Statuses() =>
    [
        .. _candidates.Values.Where(static c => c.Configured || c.InRing || c.Reported)
            .Select(static c => new GatewayStatus(c.Address, c.State, c.StateSince, c.Reason, c.Output, c.Overloaded)
            {
                Weight = c.Weight,
                IsBeingChecked = c.IsBeingChecked,
                IsHealthy = c.Health == GatewayHealth.Passing,
            }),
    ];

    private Candidate GetOrAdd(string address, TimeSpan now)
    {
        if (_candidates.TryGetValue(address, out Candidate? candidate)) return candidate;
        candidate = new Candidate(address, now, time.GetUtcNow()) { Refused = !_options.Allow.Allows(address, isConfigured: false) };
        _candidates.Add(address, candidate);
        return candidate;
    }

    /// <summary>Consul's first response replaces the assumption of the start at once: nothing was known before it.</summary>
    private PolicyDecision? Adopt(TimeSpan now)
    {
        ImmutableArray<string> healthy =
        [
            .. _candidates.Values
                .Where(static c => !c.IsExcluded && (c.Health == GatewayHealth.Passing || (c.InRing && c.Health == GatewayHealth.Unknown)))
                .Select(static c => c.Address),
        ];
        return healthy.IsEmpty || IsCurrent(healthy)
            ? null
            : Publish(healthy, RingChangeCause.FirstAnswer, "first response of discovery", now);
    }

    private PolicyDecision? Decide(TimeSpan now)
    {
        ImmutableArray<string> target = SelectMembers(now);
        if (now - _pendingSince >= _options.Settle)
        {
            // Without a settle time they are still the states of before.
            UpdateStates(now);
            (RingChangeCause cause, string reason) = RingChangeText.Explain(Members, Weights, target, _candidates);
            return Publish(target, cause, reason, now);
        }

        UpdateStates(now);
        return null;
    }

    /// <summary>The ring has these members, with the weights that they should have.</summary>
    private bool IsCurrent(ImmutableArray<string> members) => members.SequenceEqual(Members) && WeightsOf(members).SequenceEqual(Weights);

    private ImmutableArray<int> WeightsOf(ImmutableArray<string> members) => [.. members.Select(m => _candidates[m].Weight)];

    /// <summary>Selects the members, and notes since when the ring has others, or other weights.</summary>
    private ImmutableArray<string> SelectMembers(TimeSpan now)
    {
        ImmutableArray<string> target = Target(now);
        _pendingSince = target.IsEmpty || IsCurrent(target) ? null : _pendingSince ?? now;
        return target;
    }

    /// <summary>The gateways that should be in the ring. If empty, the ring stays as it is.</summary>
    private ImmutableArray<string> Target(TimeSpan now)
    {
        foreach (Candidate candidate in _candidates.Values)
        {
            candidate.Held = false;
            if (!IsLost(candidate, now)) candidate.OutageEndedAt = null;
        }

        List<Candidate> staying = [.. _candidates.Values.Where(c => IsWanted(c, now))];
        List<Candidate> lost = [.. _candidates.Values.Where(c => IsLost(c, now))];
        HoldAfterOutage(staying, lost, now);
        if (staying.Count == 0) return [];

        bool isMassLoss = lost.Count > 0 && IsMassLoss(staying, lost, now);
        foreach (Candidate candidate in lost)
        {
            bool isOfOutage = candidate.OutageEndedAt is not null && _options.MassLossRatio < 1;
            candidate.Held = IsOutage || ((isMassLoss || isOfOutage) && now < HeldUntil(candidate, now));
            if (candidate.Held) staying.Add(candidate);
        }

        return [.. staying.Select(static c => c.Address).Order(StringComparer.Ordinal)];
    }

    /// <summary>
    /// Gateways that were all lost do not recover in the same moment: each has its own time of checks. So when the first is healthy again, the members
    /// that are not are held once more, however long none was. Otherwise all groups would move to the first, and back a few seconds later.
    /// Once only: while some come and go, those that are dead must leave at last. A member whose health has become unknown stays, but is not
    /// healthy: it ends no outage.
    /// </summary>
    private void HoldAfterOutage(List<Candidate> staying, List<Candidate> lost, TimeSpan now)
    {
        if (!IsOutage)
        {
            IsOutage = staying.Count == 0 && lost.Count > 0;
        }
        else if (staying.Exists(static c => c.Health == GatewayHealth.Passing))
        {
            lost.ForEach(candidate => candidate.OutageEndedAt ??= now);
            IsOutage = false;
        }
    }

    private bool IsWanted(Candidate candidate, TimeSpan now)
    {
        if (candidate.IsExcluded) return false;
        if (candidate.InRing) return UnhealthySince(candidate, now) is null;
        return candidate.Health == GatewayHealth.Passing && now - candidate.HealthSince >= _options.AdmitAfter;
    }

    private bool IsLost(Candidate candidate, TimeSpan now) => candidate.InRing && !candidate.IsExcluded && UnhealthySince(candidate, now) is not null;

    /// <summary>Only of a candidate that is lost.</summary>
    private TimeSpan? HeldUntil(Candidate candidate, TimeSpan now) =>
        UnhealthySince(candidate, now) is { } since ? ReportClock.Max(since, candidate.OutageEndedAt ?? since) + _options.MassLossHold : null;

    private TimeSpan? UnhealthySince(Candidate candidate, TimeSpan now) => candidate.UnhealthySince(_verdictTimeout, now);

    private bool IsMassLoss(List<Candidate> staying, List<Candidate> lost, TimeSpan now)
    {
        // Looks back from the first of these losses, not from now: otherwise the ring to compare with would be forgotten while the last
        // of them is still held.
        TimeSpan first = lost.Min(c => UnhealthySince(c, now) ?? now);
        IReadOnlyCollection<string> largest = _history.LargestSince(
            first - _options.MassLossHold, m => !_candidates.TryGetValue(m, out Candidate? c) || !c.IsExcluded);
        var left = staying.Select(static c => c.Address).ToHashSet(StringComparer.Ordinal);
        return largest.Count(m => !left.Contains(m)) > _options.MassLossRatio * largest.Count;
    }

    private PolicyDecision Publish(ImmutableArray<string> members, RingChangeCause cause, string reason, TimeSpan now)
    {
        Members = members;
        Weights = WeightsOf(members);
        _pendingSince = null;
        var inRing = members.ToHashSet(StringComparer.Ordinal);
        foreach (Candidate candidate in _candidates.Values) candidate.InRing = inRing.Contains(candidate.Address);
        _history.Add(now, members);

        // A loss that was held a moment ago may no longer be a mass loss.
        SelectMembers(now);
        UpdateStates(now);
        return new PolicyDecision(members, cause, reason) { Weights = Weights };
    }

    /// <summary>Updates states and the deadline, and forgets what is over.</summary>
    private void UpdateStates(TimeSpan now)
    {
        DateTimeOffset wallClock = time.GetUtcNow();

        // Due already only without a settle time; then the next tick decides.
        NextDeadline = _pendingSince is { } since ? ReportClock.Max(since + _options.Settle - now, TimeSpan.Zero) : null;
        foreach (Candidate candidate in _candidates.Values.ToArray())
        {
            if (candidate is { Configured: false, InRing: false, Reported: false, Removed: false })
            {
                _candidates.Remove(candidate.Address);
                continue;
            }

            TimeSpan? unhealthySince = UnhealthySince(candidate, now);
            candidate.UpdateState(unhealthySince is not null, _pendingSince is not null, wallClock);
            if (candidate.State == GatewayState.Joining) AddDeadline(candidate.HealthSince + _options.AdmitAfter, now);
            if (candidate.Held) AddDeadline(HeldUntil(candidate, now), now);
            if (candidate.Health == GatewayHealth.Unknown && _verdictTimeout != Timeout.InfiniteTimeSpan) AddDeadline(candidate.HealthSince + _verdictTimeout, now);
        }

        // When every member is lost nothing is pending, but the losses age, and only reports show whether they last.
        if (_clock.MustBeFresh && _candidates.Values.Any(c => IsLost(c, now))) NextDeadline ??= ReportClock.MaxReportGap;

        // No deadline approaches while the clock is stopped.
        if (_clock.IsInterrupted) NextDeadline = null;
        _history.Prune(now - (2 * _options.MassLossHold) - _options.Settle);
    }

    private void AddDeadline(TimeSpan? moment, TimeSpan now)
    {
        // What is due was just decided.
        if (moment is not { } at || at <= now) return;
        if (NextDeadline is null || at - now < NextDeadline) NextDeadline = at - now;
    }
}

/// <summary>A ring that replaces the one of the last decision.</summary>
/// <param name="Members">Sorted. Empty only after a reload that allows none of the last ring's members.</param>
internal sealed record PolicyDecision(ImmutableArray<string> Members, RingChangeCause Cause, string Reason)
{
    /// <summary>Of the members, in their order.</summary>
    public required ImmutableArray<int> Weights { get; init; }
}
