using DynamicSharding.Config;

namespace DynamicSharding.Cleanup;

/// <summary>A copy that may be deleted, as a reading showed it.</summary>
/// <param name="Owner">Of a stale copy: whose newer copy allows the deletion.</param>
internal sealed record Candidate(PushgatewayGroup Group, string Gateway, DeleteReason Reason, string? Owner)
{
    public string StartTime { get; init; } = "";

    public string OwnerStartTime { get; init; } = "";
}

/// <summary>What one set of readings says about the copies that matter.</summary>
internal sealed class Judgement
{
    public List<Candidate> Candidates { get; } = [];

    public List<LeftCopy> Left { get; } = [];

    /// <param name="readings">By address.</param>
    /// <param name="ownerOf">By group key; of every kept group.</param>
    public static Judgement Of(CleanupInputs inputs, Dictionary<string, GatewayReading> readings, IReadOnlyDictionary<string, string?> ownerOf, DateTimeOffset now)
    {
        var judgement = new Judgement();
        Dictionary<string, double> newest = inputs.HoldsLease && !inputs.Options.Expire.IsEmpty ? Newest(readings.Values) : [];
        foreach (GatewayReading reading in readings.Values)
        {
            foreach (PushgatewayGroup copy in reading.Kept.Values) judgement.Add(inputs, readings, ownerOf[copy.Key], newest, reading, copy, now);
        }

        return judgement;
    }

    private void Add(
        CleanupInputs inputs, Dictionary<string, GatewayReading> readings, string? owner, Dictionary<string, double> newest, GatewayReading reading, PushgatewayGroup copy, DateTimeOffset now)
    {
        bool canDelete = SafetyRule.IsNameable(copy);
        if (inputs.Deletes.TimeOf(copy.Key, reading.Status!.Utf8Names) is { } deletedAt && canDelete)
        {
            bool? isBefore = SafetyRule.HasGoodClock(reading) ? SafetyRule.IsBefore(copy, reading.Status!, deletedAt) : null;
            if (isBefore == true)
            {
                Candidates.Add(new Candidate(copy, reading.Address, DeleteReason.Deleted, null) { StartTime = reading.Status!.StartTime });
                return;
            }

            // Neither older nor newer for certain. A later push to the owner decides, or the operator.
            if (isBefore is null)
            {
                Leave(copy, reading, owner, SafetyRule.HasGoodClock(reading) ? LeftReason.NotOlder : LeftReason.ClockSkew);
                return;
            }
        }

        if (!inputs.HoldsLease) return;
        if (canDelete && SafetyRule.RuleFor(copy, inputs.Options) is { } rule && newest.TryGetValue(copy.Key, out double last)
            && now.ToUnixTimeMilliseconds() / 1000.0 - last > rule.After.TotalSeconds)
        {
            LeftReason? why = WhyNotExpired(inputs, readings, rule, now);
            if (why is null) Candidates.Add(new Candidate(copy, reading.Address, DeleteReason.Expired, null) { StartTime = reading.Status!.StartTime });
            else Leave(copy, reading, owner, why.Value);
            return;
        }

        if (owner == reading.Address) return;
        if (owner is null)
        {
            Leave(copy, reading, owner, LeftReason.Unnameable);
            return;
        }

        GatewayReading? kept = readings.GetValueOrDefault(owner);
        if (SafetyRule.Judge(copy, reading, kept, inputs.Options.Margin) is { } reason) Leave(copy, reading, owner, reason);
        else Candidates.Add(new Candidate(copy, reading.Address, DeleteReason.Stale, owner) { StartTime = reading.Status!.StartTime, OwnerStartTime = kept!.Status!.StartTime });
    }

    /// <summary>
    /// Every gateway that may hold a newer copy must have been read. One that left the ring longer ago than the rule's time has been pushed to before,
    /// so that a copy there is expired, too.
    /// </summary>
    private static LeftReason? WhyNotExpired(CleanupInputs inputs, Dictionary<string, GatewayReading> readings, ExpireRule rule, DateTimeOffset now)
    {
        foreach (CleanupTarget target in inputs.Targets)
        {
            if (target.LeftAt is { } left && now - left > rule.After) continue;
            if (!readings.TryGetValue(target.Address, out GatewayReading? reading) || !reading.IsComplete) return LeftReason.Unread;
            if (!SafetyRule.HasGoodClock(reading)) return LeftReason.ClockSkew;
        }

        return null;
    }

    private void Leave(PushgatewayGroup copy, GatewayReading reading, string? owner, LeftReason reason) =>
        Left.Add(new LeftCopy(copy.Labels, reading.Address, owner, reason, copy.PushTime));

    /// <summary>When each group was last pushed to anywhere, by our clock. A gateway without a usable clock lets nothing expire, see above.</summary>
    private static Dictionary<string, double> Newest(IEnumerable<GatewayReading> readings)
    {
        var newest = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (GatewayReading reading in readings)
        {
            double skew = reading.Status?.Skew?.TotalSeconds ?? 0;
            foreach (PushgatewayGroup copy in reading.Kept.Values)
            {
                newest[copy.Key] = Math.Max(newest.GetValueOrDefault(copy.Key, double.NegativeInfinity), SafetyRule.LastActivity(copy) - skew);
            }
        }

        return newest;
    }
}
