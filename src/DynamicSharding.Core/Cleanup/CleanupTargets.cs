using System.Collections.Immutable;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Cleanup;

/// <summary>Which gateways may hold groups, and whether now is a time to compare them.</summary>
internal static class CleanupTargets
{
    /// <summary>A gateway that left the ring is looked at for this long, or until it is empty.</summary>
    private static readonly TimeSpan FormerAge = TimeSpan.FromDays(7);

    /// <summary>Members, whatever else is configured or discovered, and former members. Not those that the operator refused.</summary>
    public static ImmutableArray<CleanupTarget> Of(HashRing<Gateway> ring, MembershipView view, TimeProvider time)
    {
        DateTimeOffset now = time.GetUtcNow();
        var targets = new SortedDictionary<string, CleanupTarget>(StringComparer.Ordinal);
        foreach ((string address, long leftAt) in view.Former)
        {
            TimeSpan age = time.GetElapsedTime(leftAt);
            if (age < FormerAge) targets[address] = new CleanupTarget(address, now - age);
        }

        foreach (GatewayStatus gateway in view.Gateways)
        {
            if (gateway.State == GatewayState.Refused) targets.Remove(gateway.Address);
            else if (gateway.State != GatewayState.Out || !targets.ContainsKey(gateway.Address)) targets[gateway.Address] = new CleanupTarget(gateway.Address, null);
        }

        foreach (Gateway member in ring.Members) targets[member.Address] = new CleanupTarget(member.Address, null);
        return [.. targets.Values];
    }

    /// <returns>A gateway whose place in the ring is about to change, or which only seems to be there; null if there is none.</returns>
    public static string? WhyUnsettled(MembershipView view)
    {
        foreach (GatewayStatus gateway in view.Gateways)
        {
            if (gateway.State is GatewayState.Held or GatewayState.Joining or GatewayState.Leaving) return $"{gateway.Address} is {GatewayStates.Label(gateway.State)}";
        }

        return null;
    }
}
