using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Cleanup;

/// <summary>What a pass works with; nothing of it changes meanwhile.</summary>
internal sealed record CleanupInputs
{
    public required HashRing<Gateway> Ring { get; init; }

    /// <summary>Members, and all others that may hold groups.</summary>
    public required ImmutableArray<CleanupTarget> Targets { get; init; }

    public required CleanupOptions Options { get; init; }

    public required RememberedDeletes Deletes { get; init; }

    /// <summary>Without it, only what clients deleted through this instance is deleted.</summary>
    public required bool HoldsLease { get; init; }

    /// <summary>Asked before every delete: null to go on, else why the pass ends.</summary>
    public required Func<string?> WhyStop { get; init; }
}

/// <param name="LeftAt">When it left the ring; null for members, and for those that may be pushed to.</param>
internal sealed record CleanupTarget(string Address, DateTimeOffset? LeftAt);

/// <summary>
/// One pass over all gateways, one after the other. It reads all groups and keeps those that matter; what might be deleted is read again after a
/// while, and once more right before.
/// </summary>
/// <param name="betweenReadings">The least time between the two readings.</param>
/// <param name="subjects">Null for the usual room.</param>
internal sealed class CleanupPass(
    CleanupInputs inputs, PushgatewayClient client, TimeSpan betweenReadings, ILogger logger, TimeProvider time, CleanupSubjects? subjects = null)
{
    /// <summary>30 s: a stale copy that is still pushed to shows it, and a gateway that loses its copy, too.</summary>
    public static readonly TimeSpan BetweenReadings = TimeSpan.FromSeconds(30);

    private readonly GroupOwners _owners = new(inputs.Ring);
    private readonly HashSet<string> _members = [.. inputs.Ring.Members.Select(static member => member.Address)];
    private readonly CleanupSubjects _subjects = subjects ?? new CleanupSubjects();
    private readonly Dictionary<string, long> _misplaced = new(StringComparer.Ordinal);
    private readonly CleanupTally _tally = new();
    private readonly Dictionary<string, GatewayReading> _readings = new(StringComparer.Ordinal);
    private bool _isPartial;

    /// <summary>Every failure of a gateway is in the report; only cancellation throws.</summary>
    public async Task<CleanupReport> RunAsync(CancellationToken ct)
    {
        DateTimeOffset startedAt = time.GetUtcNow();
        long begun = time.GetTimestamp();
        await ReadAllAsync(ct).ConfigureAwait(false);
        ImmutableArray<CleanupGateway> first = [.. inputs.Targets.Select(target => Describe(_readings[target.Address]))];
        long firstEnded = time.GetTimestamp();
        Judgement judgement = Judge();
        if (judgement.Candidates.Exists(static candidate => candidate.Reason != DeleteReason.Deleted))
        {
            TimeSpan wait = betweenReadings - time.GetElapsedTime(firstEnded);
            if (wait > TimeSpan.Zero) await Task.Delay(wait, time, ct).ConfigureAwait(false);
            if (inputs.WhyStop() is null)
            {
                await ReadAgainAsync(judgement, ct).ConfigureAwait(false);
                judgement = Confirm(judgement, Judge());
            }
            else
            {
                // The other reading would be of no use.
                foreach (Candidate candidate in judgement.Candidates) _tally.Leave(candidate, LeftReason.Stopped);
                judgement.Candidates.Clear();
                _isPartial = true;
            }
        }

        foreach (LeftCopy left in judgement.Left) _tally.Leave(left);
        var deletion = new CleanupDeletion(inputs, client, _tally, logger, time);
        foreach (IGrouping<string, Candidate> candidates in judgement.Candidates.GroupBy(static candidate => candidate.Gateway, StringComparer.Ordinal))
        {
            await deletion.RunAsync(candidates.Key, candidates, ct).ConfigureAwait(false);
        }

        return _tally.Report(inputs.Options.DryRun) with
        {
            StartedAt = startedAt,
            Duration = time.GetElapsedTime(begun),
            Gateways = [.. first.OrderBy(static gateway => gateway.Address, StringComparer.Ordinal).Select(gateway => gateway with { Error = _readings[gateway.Address].Error ?? gateway.Error, Skew = _readings[gateway.Address].Status?.Skew })],
            Groups = first.Sum(static gateway => gateway.Groups),
            Misplaced = _misplaced.Values.Sum(),
            IsPartial = _isPartial || deletion.IsStopped,
        };
    }

    private Judgement Judge() => Judgement.Of(inputs, _readings, _subjects.Owners, time.GetUtcNow());

    private async Task ReadAllAsync(CancellationToken ct)
    {
        // What is found on a later gateway may have its owner's copy on an earlier one, which is read again then.
        HashSet<string> seen = new(StringComparer.Ordinal), read = new(StringComparer.Ordinal), again = new(StringComparer.Ordinal);
        foreach ((string address, _) in inputs.Targets)
        {
            long misplaced = 0;
            _subjects.Begin(address);
            _readings[address] = await GatewayReading.ReadAsync(client, address, (group, status) => Select(group, status, address, ref misplaced), ct).ConfigureAwait(false);
            _misplaced[address] = misplaced;
            if (!_readings[address].IsComplete) _subjects.Begin(address);
            foreach (PushgatewayGroup found in _readings[address].Kept.Values)
            {
                if (!seen.Add(found.Key) || !inputs.HoldsLease) continue;
                if (MayExpire(found)) again.UnionWith(read);
                else if (_subjects.Owners[found.Key] is { } owner && read.Contains(owner)) again.Add(owner);
            }

            read.Add(address);
        }

        foreach (string address in again)
        {
            if (_readings[address].IsComplete) _readings[address] = await ReadSubjectsAsync(address, ct).ConfigureAwait(false);
        }
    }

    /// <summary>True for a group that matters.</summary>
    private bool Select(PushgatewayGroup group, PushgatewayStatus status, string address, ref long misplaced)
    {
        string? owner = _owners.Of(group, status.Utf8Names);
        bool isMisplaced = owner != address;
        if (isMisplaced) misplaced++;
        if (GroupMatcher.AnyMatches(inputs.Options.Exclude, group.Labels)) return false;
        bool matters = inputs.Deletes.TimeOf(group.Key, status.Utf8Names) is not null
            || (inputs.HoldsLease && (isMisplaced || _subjects.Contains(group.Key) || IsOld(group, status)));
        if (!matters) return false;
        if (_subjects.TryAdd(address, group, owner)) return true;
        _isPartial = true;
        _tally.Leave(new LeftCopy(group.Labels, address, owner, LeftReason.NoRoom, group.PushTime));
        return false;
    }

    private bool IsOld(PushgatewayGroup group, PushgatewayStatus status) => SafetyRule.RuleFor(group, inputs.Options) is { } rule
        && (time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0) + (status.Skew ?? TimeSpan.Zero).TotalSeconds - SafetyRule.LastActivity(group) > rule.After.TotalSeconds;

    private bool MayExpire(PushgatewayGroup group) => SafetyRule.RuleFor(group, inputs.Options) is not null;

    private async Task<GatewayReading> ReadSubjectsAsync(string address, CancellationToken ct)
    {
        _subjects.Begin(address);
        GatewayReading reading = await GatewayReading.ReadAsync(
            client, address, (group, _) => _subjects.Contains(group.Key) && _subjects.TryAdd(address, group, owner: null), ct).ConfigureAwait(false);
        if (!reading.IsComplete) _subjects.Begin(address);
        return reading;
    }

    /// <summary>The gateways that decide about a candidate.</summary>
    private async Task ReadAgainAsync(Judgement judgement, CancellationToken ct)
    {
        bool needsAll = judgement.Candidates.Exists(static candidate => candidate.Reason == DeleteReason.Expired);
        HashSet<string> needed = [.. judgement.Candidates.SelectMany(static candidate => new[] { candidate.Gateway, candidate.Owner }).OfType<string>()];
        foreach ((string address, _) in inputs.Targets)
        {
            // One after the other, so that of most gateways one reading is in memory.
            if (_readings[address].IsComplete && (needsAll || needed.Contains(address))) _readings[address] = await ReadSubjectsAsync(address, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Both readings must agree, about a copy that did not change, on gateways that did not restart.</summary>
    private static Judgement Confirm(Judgement first, Judgement second)
    {
        var before = first.Candidates.ToDictionary(static candidate => (candidate.Gateway, candidate.Group.Key));
        var confirmed = new Judgement();
        confirmed.Left.AddRange(second.Left);
        foreach (Candidate candidate in second.Candidates)
        {
            LeftReason? why = !before.TryGetValue((candidate.Gateway, candidate.Group.Key), out Candidate? known) ? LeftReason.Changed
                : known.StartTime != candidate.StartTime || (candidate.Reason == DeleteReason.Stale && known.OwnerStartTime != candidate.OwnerStartTime) ? LeftReason.Restarted
                : known.Reason == candidate.Reason && SafetyRule.IsUnchanged(known.Group, candidate.Group) ? null : LeftReason.Changed;
            if (why is null) confirmed.Candidates.Add(candidate);
            else confirmed.Left.Add(new LeftCopy(candidate.Group.Labels, candidate.Gateway, candidate.Owner, why.Value, candidate.Group.PushTime));
        }

        return confirmed;
    }

    private CleanupGateway Describe(GatewayReading reading) => new(reading.Address, reading.Groups, _misplaced.GetValueOrDefault(reading.Address), reading.Error, null)
    {
        InRing = _members.Contains(reading.Address),
    };
}

/// <summary>Counts what was deleted and left, and remembers the first of them.</summary>
internal sealed class CleanupTally
{
    private const int MaxListed = 1000;

    private readonly long[] _deleted = new long[DeleteReasons.All.Length];
    private readonly long[] _left = new long[LeftReasons.All.Length];
    private readonly List<LeftCopy> _leftCopies = [];
    private readonly List<DeletedCopy> _deletedCopies = [];
    private long _stale;

    public void Leave(LeftCopy copy)
    {
        _left[(int)copy.Reason]++;
        if (copy.Reason != LeftReason.OwnerMissing && copy.Gateway != copy.Owner) _stale++;
        if (_leftCopies.Count < MaxListed) _leftCopies.Add(copy);
    }

    public void Leave(Candidate candidate, LeftReason reason) =>
        Leave(new LeftCopy(candidate.Group.Labels, candidate.Gateway, candidate.Owner, reason, candidate.Group.PushTime));

    /// <param name="isDone">False in a dry run.</param>
    public void Delete(Candidate candidate, bool isDone)
    {
        _deleted[(int)candidate.Reason]++;
        if (!isDone && candidate.Reason == DeleteReason.Stale) _stale++;
        if (_deletedCopies.Count < MaxListed) _deletedCopies.Add(new DeletedCopy(candidate.Group.Labels, candidate.Gateway, candidate.Reason, candidate.Group.PushTime));
    }

    public CleanupReport Report(bool dryRun) => new()
    {
        StartedAt = default,
        DryRun = dryRun,
        Stale = _stale,
        Deleted = [.. _deleted],
        Left = [.. _left],
        LeftCopies = [.. _leftCopies],
        DeletedCopies = [.. _deletedCopies],
    };
}
