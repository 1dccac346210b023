using DynamicSharding.Config;

namespace DynamicSharding.Cleanup;

/// <summary>
/// The rule before all others: the newest copy of a group is not deleted, unless the group expires or a client deleted it. Pure; every
/// comparison of two clocks is here.
/// </summary>
internal static class SafetyRule
{
    /// <summary>A clock that is wrong by more than this may be wrong by anything the next time.</summary>
    public static readonly TimeSpan MaxSkew = TimeSpan.FromSeconds(30);

    /// <returns>Why the copy must stay; null if it is stale.</returns>
    /// <param name="stale">On a gateway that does not own the group.</param>
    /// <param name="owner">Of the gateway that does: null if that could not be read.</param>
    public static LeftReason? Judge(PushgatewayGroup copy, GatewayReading stale, GatewayReading? owner, TimeSpan margin)
    {
        if (!IsNameable(copy)) return LeftReason.Unnameable;
        if (owner is null || !owner.IsComplete || !stale.IsComplete) return LeftReason.Unread;
        if (!owner.Kept.TryGetValue(copy.Key, out PushgatewayGroup? kept)) return LeftReason.OwnerMissing;
        if (!HasGoodClock(stale) || !HasGoodClock(owner)) return LeftReason.ClockSkew;
        if (!kept.LastPushSuccessful) return LeftReason.OwnerFailed;
        if (!IsNameable(kept)) return LeftReason.Unnameable;
        if (kept.PushTime <= copy.PushTime + Margin(margin, stale, owner).TotalSeconds) return LeftReason.NotOlder;
        return Includes(kept, copy) ? null : LeftReason.MissingMetrics;
    }

    /// <summary>Twice the larger of the two skews is more than the clocks differ from each other.</summary>
    public static TimeSpan Margin(TimeSpan configured, GatewayReading a, GatewayReading b)
    {
        TimeSpan twice = 2 * Max(SkewBound(a.Status!), SkewBound(b.Status!));
        return Max(configured, twice);
    }

    public static bool HasGoodClock(GatewayReading reading) => reading.Status is { Skew: not null } status && SkewBound(status) <= MaxSkew;

    /// <summary>The copy was pushed before the moment, by our clock. Compares one gateway's clock with ours, so its skew counts once.</summary>
    public static bool? IsBefore(PushgatewayGroup copy, PushgatewayStatus status, DateTimeOffset moment)
    {
        double pushed = LastActivity(copy) - status.Skew!.Value.TotalSeconds;
        double at = moment.ToUnixTimeMilliseconds() / 1000.0;
        if (pushed + status.Uncertainty.TotalSeconds < at) return true;
        return pushed - status.Uncertainty.TotalSeconds > at ? false : null;
    }

    /// <summary>Null if none matches.</summary>
    public static ExpireRule? RuleFor(PushgatewayGroup copy, CleanupOptions options)
    {
        ExpireRule? shortest = null;
        foreach (ExpireRule rule in options.Expire)
        {
            if ((shortest is null || rule.After < shortest.After) && GroupMatcher.AnyMatches(rule.Match, copy.Labels)) shortest = rule;
        }

        return shortest;
    }

    /// <summary>The last push that succeeded. A group that no push has succeeded for is as old as the last that failed.</summary>
    public static double LastActivity(PushgatewayGroup copy) => copy.PushTime > 0 ? copy.PushTime : copy.PushFailureTime;

    public static bool IsNameable(PushgatewayGroup copy) => copy.HasExactLabels && double.IsFinite(copy.PushTime) && double.IsFinite(copy.PushFailureTime) && GroupPath.CanBeNamed(copy.Labels);

    /// <summary>Nothing was pushed in between, with success or without.</summary>
    public static bool IsUnchanged(PushgatewayGroup before, PushgatewayGroup now) =>
        before.PushTime.Equals(now.PushTime) && before.PushFailureTime.Equals(now.PushFailureTime);

    private static bool Includes(PushgatewayGroup owner, PushgatewayGroup copy)
    {
        int at = 0;
        foreach (MetricFamily family in copy.Families)
        {
            while (at < owner.Families.Length && string.CompareOrdinal(owner.Families[at].Name, family.Name) < 0) at++;
            if (at == owner.Families.Length || owner.Families[at].Name != family.Name) return false;
        }

        return true;
    }

    private static TimeSpan SkewBound(PushgatewayStatus status) => status.Skew!.Value.Duration() + status.Uncertainty;

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
