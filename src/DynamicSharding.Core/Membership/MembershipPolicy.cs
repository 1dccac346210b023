using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>
/// Which of the gateways are in the ring. Every needless move of a group leaves a stale copy of it behind, so changes are damped: they
/// settle, joiners prove themselves, and the loss of many at once is believed only if it lasts. Nothing here waits, logs or publishes; the
/// caller hands in what happened and asks again at <see cref="NextDeadline"/>. One caller at a time.
/// </summary>
internal sealed class MembershipPolicy(MembershipOptions options, TimeProvider time)
{
    /// <summary>
    /// How long a gateway that a reload removed must be gone before it counts as a new one: longer than the others that still name it need
    /// to register it again, even if they cannot reach their agent for a while.
    /// </summary>
    private static readonly TimeSpan RemovalMemory = TimeSpan.FromMinutes(10);

    /// <summary>
    /// While something is pending, a source that needs to be fresh is asked every second and has five to respond. Reports that are further
    /// apart say nothing about the time between them.
    /// </summary>
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(7);

    private readonly SortedDictionary<string, Candidate> _candidates = new(StringComparer.Ordinal);
    private readonly RingHistory _history = new();
    private readonly long _origin = time.GetTimestamp();
    private MembershipOptions _options = options;
    private TimeSpan _patience = Timeout.InfiniteTimeSpan;
    private TimeSpan? _pendingSince;

    /// <summary>When the last report came, on the real clock, and whether time counts only between such reports.</summary>
    private TimeSpan _heard;
    private bool _mustBeFresh;

    /// <summary>When the interruption that lasts began, on the real clock; null while the source is heard.</summary>
    private TimeSpan? _interruptedSince;

    /// <summary>The length of the interruptions that are over.</summary>
    private TimeSpan _unheard;

    /// <summary>The ring as it was last asked for; empty until the first, and once a reload allows nobody of it.</summary>
    public ImmutableArray<string> Members { get; private set; } = [];

    public bool HasVerdict => _candidates.Values.All(static c => !c.Configured || c.HasVerdict);

    /// <summary>What time alone may still change, and how far away it is. Null: nothing.</summary>
    public TimeSpan? NextDeadline { get; private set; }

    /// <summary>
    /// The one clock of hold, admission, patience and settling. It stands still while the source is interrupted: nobody saw what happened
    /// in that time, so it proves nothing, neither health nor sickness. With a source that may fall silent it only moves with its reports.
    /// </summary>
    private TimeSpan Now => (_interruptedSince ?? (_mustBeFresh ? _heard : Real)) - _unheard;

    private TimeSpan Real => time.GetElapsedTime(_origin);

    /// <summary>The configured list, at start and at every reload. At start it is the ring; later, what was removed leaves at once.</summary>
    public PolicyDecision? Configure(ImmutableArray<string> servers, MembershipOptions options)
    {
        TimeSpan now = Now;
        _options = options;
        var configured = servers.ToHashSet(StringComparer.Ordinal);
        foreach (Candidate candidate in _candidates.Values)
        {
            // Whom somebody else registers as well stays on Consul's word, and so does everybody when the file leaves the naming to Consul.
            if (candidate.Configured && configured.Count > 0 && !configured.Contains(candidate.Address)) candidate.Removed = !candidate.Foreign;
            candidate.Configured = false;
        }

        foreach (string address in configured)
        {
            Candidate candidate = Find(address, now);
            candidate.Configured = true;
            candidate.Removed = false;
        }

        foreach (Candidate candidate in _candidates.Values) candidate.Refused = !options.Allow.Allows(candidate.Address, candidate.Configured);
        ImmutableArray<string> listed = [.. configured.Order(StringComparer.Ordinal)];
        if (Members.IsEmpty && !listed.IsEmpty) return Publish(listed, RingChangeCause.Start, "configured", now);
        ImmutableArray<string> staying = [.. Members.Where(m => _candidates[m] is { Removed: false, Refused: false })];
        if (staying.Length == Members.Length) return Decide(now);
        if (staying.IsEmpty)
        {
            // One that was removed serves until another is in. One that is not allowed any more does not: the configured ones are the ring,
            // as at the start, or nobody is.
            if (!Members.Any(m => _candidates[m].Refused)) return Decide(now);
            staying = listed;
        }

        ImmutableArray<string> gone = [.. Members.Except(staying)];
        _history.Discount(gone);
        return Publish(staying, RingChangeCause.Reload, TakenOut(gone), now);
    }

    public PolicyDecision? Observe(GatewayReport report)
    {
        if (report.Interrupted)
        {
            _interruptedSince ??= _mustBeFresh ? _heard : Real;
            return Decide(Now);
        }

        bool afresh = _interruptedSince is not null || report.Adopt;
        TimeSpan heard = report.ReceivedAt is { } at ? time.GetElapsedTime(_origin, at) : Real;
        if (heard < _heard) heard = _heard;
        if (_interruptedSince is { } since) _unheard += heard - since;
        else if (_mustBeFresh && report.MustBeFresh && NextDeadline is not null && heard - _heard > LongestSilence) _unheard += heard - _heard;
        _interruptedSince = null;
        _mustBeFresh = report.MustBeFresh;
        _heard = heard;
        TimeSpan now = Now;
        _patience = report.VerdictTimeout;
        foreach (Candidate candidate in _candidates.Values) candidate.Reported = false;
        foreach (GatewayVerdict verdict in report.Verdicts)
        {
            Candidate candidate = Find(verdict.Address, now);
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
                candidate.Update(new GatewayVerdict(candidate.Address, GatewayHealth.Unknown, false, null), now);
            }

            if (afresh) candidate.RestartVerdictTimeout(now);
        }

        return (report.Adopt ? Adopt(now) : null) ?? Decide(now);
    }

    /// <summary>Time went by; with a source that needs to be fresh, only its next report can tell.</summary>
    public PolicyDecision? Tick() => Decide(Now);

    /// <summary>Without those that are only remembered as removed.</summary>
    public ImmutableArray<GatewayStatus> Statuses() =>
        [.. _candidates.Values.Where(static c => c.Configured || c.InRing || c.Reported).Select(static c => new GatewayStatus(c.Address, c.State, c.StateSince, c.Reason, c.Output, c.Overloaded))];

    private Candidate Find(string address, TimeSpan now)
    {
        if (_candidates.TryGetValue(address, out Candidate? candidate)) return candidate;
        candidate = new Candidate(address, now, time.GetUtcNow()) { Refused = !_options.Allow.Allows(address, isNamed: false) };
        _candidates.Add(address, candidate);
        return candidate;
    }

    /// <summary>The first answer replaces the assumption of the start, without settle or hold: nothing was known before it.</summary>
    private PolicyDecision? Adopt(TimeSpan now)
    {
        ImmutableArray<string> healthy =
        [
            .. _candidates.Values
                .Where(static c => !c.IsExcluded && (c.Health == GatewayHealth.Passing || (c.InRing && c.Health == GatewayHealth.Unknown)))
                .Select(static c => c.Address),
        ];
        return healthy.IsEmpty || healthy.SequenceEqual(Members)
            ? null
            : Publish(healthy, RingChangeCause.FirstAnswer, "first answer of the discovery", now);
    }

    private PolicyDecision? Decide(TimeSpan now)
    {
        ImmutableArray<string> target = SelectMembers(now);
        if (now - _pendingSince >= _options.Settle)
        {
            (RingChangeCause cause, string reason) = Explain(target);
            return Publish(target, cause, reason, now);
        }

        Refresh(now);
        return null;
    }

    /// <summary>The target, and since when the ring is not it.</summary>
    private ImmutableArray<string> SelectMembers(TimeSpan now)
    {
        ImmutableArray<string> target = Target(now);
        _pendingSince = target.IsEmpty || target.SequenceEqual(Members) ? null : _pendingSince ?? now;
        return target;
    }

    /// <summary>Who should be in the ring if nothing else happened. Empty when that would be nobody: then the ring stays as it is.</summary>
    private ImmutableArray<string> Target(TimeSpan now)
    {
        foreach (Candidate candidate in _candidates.Values) candidate.Held = false;
        List<Candidate> staying = [.. _candidates.Values.Where(c => IsWanted(c, now))];
        if (staying.Count == 0) return [];

        List<Candidate> lost = [.. _candidates.Values.Where(c => c.InRing && !c.IsExcluded && c.UnhealthySince(_patience, now) is not null)];
        if (lost.Count > 0 && IsMassLoss(staying, lost, now))
        {
            foreach (Candidate candidate in lost)
            {
                candidate.Held = now - candidate.UnhealthySince(_patience, now) < _options.MassLossHold;
                if (candidate.Held) staying.Add(candidate);
            }
        }

        return [.. staying.Select(static c => c.Address).Order(StringComparer.Ordinal)];
    }

    private bool IsWanted(Candidate candidate, TimeSpan now)
    {
        if (candidate.IsExcluded) return false;
        if (candidate.InRing) return candidate.UnhealthySince(_patience, now) is null;
        return candidate.Health == GatewayHealth.Passing && now - candidate.HealthSince >= _options.AdmitAfter;
    }

    private bool IsMassLoss(List<Candidate> staying, List<Candidate> lost, TimeSpan now)
    {
        // Looking back from the first of the losses at hand, not from now: else the ring that they are measured against would be
        // forgotten while the last of them is still being held.
        TimeSpan first = lost.Min(c => c.UnhealthySince(_patience, now) ?? now);
        IReadOnlyCollection<string> largest = _history.LargestSince(
            first - _options.MassLossHold, m => !_candidates.TryGetValue(m, out Candidate? c) || !c.IsExcluded);
        var left = staying.Select(static c => c.Address).ToHashSet(StringComparer.Ordinal);
        return largest.Count(m => !left.Contains(m)) > _options.MassLossRatio * largest.Count;
    }

    private PolicyDecision Publish(ImmutableArray<string> members, RingChangeCause cause, string reason, TimeSpan now)
    {
        Members = members;
        _pendingSince = null;
        var inRing = members.ToHashSet(StringComparer.Ordinal);
        foreach (Candidate candidate in _candidates.Values) candidate.InRing = inRing.Contains(candidate.Address);
        _history.Add(now, members);

        // Losses are measured anew against the new past: one that was held a moment ago may not be a mass any more.
        SelectMembers(now);
        Refresh(now);
        return new PolicyDecision(members, cause, reason);
    }

    private (RingChangeCause Cause, string Reason) Explain(ImmutableArray<string> target)
    {
        List<Candidate> left = [.. Members.Except(target, StringComparer.Ordinal).Select(m => _candidates[m])];
        List<string> joined = [.. target.Except(Members, StringComparer.Ordinal)];
        RingChangeCause cause =
            left.Exists(static c => c.WasHeld) ? RingChangeCause.MassLoss
            : left.Exists(static c => !c.IsExcluded) ? RingChangeCause.Loss
            : left.Exists(static c => c.Health == GatewayHealth.Maintenance) ? RingChangeCause.Drain
            : left.Count > 0 ? RingChangeCause.Reload
            : RingChangeCause.Join;
        string reason = left.Count > 0 ? "left: " + Join(left.Select(static c => $"{c.Address} ({c.Reason})")) : "";
        if (joined.Count > 0) reason += (reason.Length > 0 ? "; " : "") + "joined: " + Join(joined);
        return (cause, reason);
    }

    private string TakenOut(ImmutableArray<string> gone)
    {
        ILookup<bool, string> removed = gone.ToLookup(m => _candidates[m].Removed);
        string reason = removed[true].Any() ? "removed from the configuration: " + Join(removed[true]) : "";
        if (removed[false].Any()) reason += (reason.Length > 0 ? "; " : "") + "not allowed by membership.allow: " + Join(removed[false]);
        return reason;
    }

    private static string Join(IEnumerable<string> parts)
    {
        const int Shown = 5;
        List<string> all = [.. parts];
        return string.Join(", ", all.Take(Shown)) + (all.Count > Shown ? $" and {all.Count - Shown} more" : "");
    }

    /// <summary>States, deadline, and what may be forgotten.</summary>
    private void Refresh(TimeSpan now)
    {
        DateTimeOffset wallClock = time.GetUtcNow();

        // Due already only where nothing has to settle; the next tick decides it.
        NextDeadline = _pendingSince is { } since ? Max(since + _options.Settle - now, TimeSpan.Zero) : null;
        foreach (Candidate candidate in _candidates.Values.ToArray())
        {
            if (candidate is { Configured: false, InRing: false, Reported: false, Removed: false })
            {
                _candidates.Remove(candidate.Address);
                continue;
            }

            TimeSpan? unhealthy = candidate.UnhealthySince(_patience, now);
            candidate.WasHeld = candidate.InRing && unhealthy is not null && (candidate.Held || candidate.WasHeld);
            if (unhealthy is not null) candidate.HasVerdict = true;
            (GatewayState state, string reason) = CandidateDescription.Describe(candidate, unhealthy is not null, _pendingSince is not null);
            candidate.SetState(state, reason, wallClock);

            if (state == GatewayState.Joining) Wake(candidate.HealthSince + _options.AdmitAfter, now);
            if (candidate.Held) Wake(unhealthy + _options.MassLossHold, now);
            if (candidate.Health == GatewayHealth.Unknown && _patience != Timeout.InfiniteTimeSpan) Wake(candidate.HealthSince + _patience, now);
        }

        // With nobody left to be in the ring nothing is pending, but the losses still age: whether they last must be asked.
        if (_mustBeFresh && _candidates.Values.Any(c => c.InRing && !c.IsExcluded && c.UnhealthySince(_patience, now) is not null)) NextDeadline ??= LongestSilence;

        // While the clock stands still no deadline comes nearer.
        if (_interruptedSince is not null) NextDeadline = null;
        _history.Prune(now - (2 * _options.MassLossHold) - _options.Settle);
    }

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private void Wake(TimeSpan? moment, TimeSpan now)
    {
        // What is due was just decided.
        if (moment is not { } at || at <= now) return;
        TimeSpan distance = at - now;
        if (NextDeadline is null || distance < NextDeadline) NextDeadline = distance;
    }
}

/// <summary>The policy wants this ring now, in place of the last one that it asked for.</summary>
/// <param name="Members">Sorted. Empty only where a reload allows nobody of the last ring.</param>
/// <param name="Cause">For counting.</param>
/// <param name="Reason">For reading.</param>
internal sealed record PolicyDecision(ImmutableArray<string> Members, RingChangeCause Cause, string Reason);
