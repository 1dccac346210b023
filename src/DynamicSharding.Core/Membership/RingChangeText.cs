using System.Collections.Immutable;
using DynamicSharding.Discovery;
using DynamicSharding.Logging;

namespace DynamicSharding.Membership;

/// <summary>Why a ring replaces the one before, in the words of the log and the history.</summary>
internal static class RingChangeText
{
    /// <param name="members">Of the ring so far, with their weights.</param>
    /// <param name="gone">Who leaves it.</param>
    /// <param name="staying">Who does not.</param>
    public static string OfReload(
        ImmutableArray<string> members, ImmutableArray<int> weights, ImmutableArray<string> gone, ImmutableArray<string> staying,
        IReadOnlyDictionary<string, Candidate> candidates) =>
        Join(DescribeRemoval(gone, candidates), DescribeWeights(members, weights, staying, candidates));

    /// <param name="members">Of the ring so far, with their weights.</param>
    /// <param name="target">The members to come.</param>
    public static (RingChangeCause Cause, string Reason) Explain(
        ImmutableArray<string> members, ImmutableArray<int> weights, ImmutableArray<string> target, IReadOnlyDictionary<string, Candidate> candidates)
    {
        List<Candidate> left = [.. members.Except(target, StringComparer.Ordinal).Select(m => candidates[m])];
        List<string> joined = [.. target.Except(members, StringComparer.Ordinal)];
        RingChangeCause cause =
            left.Exists(static c => c.WasHeld) ? RingChangeCause.MassLoss
            : left.Exists(static c => !c.IsExcluded) ? RingChangeCause.Loss
            : left.Exists(static c => c.Health == GatewayHealth.Maintenance) ? RingChangeCause.Drain
            : left.Exists(static c => c.Weight == 0) ? RingChangeCause.Weight
            : left.Count > 0 ? RingChangeCause.Reload
            : joined.Count > 0 ? RingChangeCause.Join
            : RingChangeCause.Weight;
        return (cause, Join(
            left.Count > 0 ? "left: " + LogValue.List(left.Select(static c => $"{c.Address} ({c.Reason})")) : "",
            joined.Count > 0 ? "joined: " + LogValue.List(joined) : "",
            DescribeWeights(members, weights, target, candidates)));
    }

    /// <summary>What changes about the members that stay.</summary>
    private static string DescribeWeights(
        ImmutableArray<string> members, ImmutableArray<int> weights, ImmutableArray<string> staying, IReadOnlyDictionary<string, Candidate> candidates)
    {
        string[] changed =
        [
            .. members.Zip(weights).Where(m => candidates[m.First].Weight != m.Second && staying.Contains(m.First))
                .Select(m => $"{m.First} ({m.Second} to {candidates[m.First].Weight})"),
        ];
        return changed.Length > 0 ? "weight: " + LogValue.List(changed) : "";
    }

    private static string Join(params ReadOnlySpan<string> parts) => string.Join("; ", parts.ToArray().Where(static part => part.Length > 0));

    private static string DescribeRemoval(ImmutableArray<string> gone, IReadOnlyDictionary<string, Candidate> candidates)
    {
        return Join(
            Describe("removed from the configuration", static c => c.Removed),
            Describe("not allowed by membership.allow", static c => c is { Removed: false, Refused: true }),
            Describe("weight 0", static c => c is { Removed: false, Refused: false }));

        string Describe(string what, Func<Candidate, bool> which) =>
            gone.Any(m => which(candidates[m])) ? $"{what}: {LogValue.List(gone.Where(m => which(candidates[m])))}" : "";
    }
}
