using System.Collections.Immutable;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Admin;

/// <summary>
/// Joins the ring with the membership. Remembers every gateway that was in a ring, so that the redirect counter of one that left does not
/// disappear or restart at zero when it returns. The ring's publisher remembers and forgets the same gateways.
/// </summary>
internal sealed class Fleet(ActiveRing ring, Func<MembershipView> membership, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Gateway> _seen = new(StringComparer.Ordinal);
    private readonly FormerMembers _gone = new();
    private Dictionary<string, (double Share, int Weight)> _ownership = new(StringComparer.Ordinal);
    private HashRing<Gateway>? _measured;
    private DateTimeOffset _measuredAt;

    public FleetView Snapshot()
    {
        // The view first: a ring is published before the view that mentions it, so every member of the view is in this ring.
        MembershipView view = membership();
        HashRing<Gateway>? current = ring.Current;
        lock (_lock)
        {
            if (current is null) (_measured, _ownership) = (null, new Dictionary<string, (double, int)>(StringComparer.Ordinal));
            else if (!ReferenceEquals(current, _measured)) Measure(current);
            var known = new SortedDictionary<string, GatewayStatus>(StringComparer.Ordinal);
            foreach (GatewayStatus status in view.Gateways) known[status.Address] = status;
            foreach ((string address, (_, int weight)) in _ownership)
                known.TryAdd(address, new GatewayStatus(address, GatewayState.Member, _measuredAt, "just joined", null, Overloaded: false) { Weight = weight });
            return new FleetView(current, view, [.. known.Values.Select(Describe)]);
        }
    }

    // Walks all points, so once per ring.
    private void Measure(HashRing<Gateway> current)
    {
        double[] shares = current.OwnershipRatios();
        _ownership = new Dictionary<string, (double, int)>(StringComparer.Ordinal);
        for (int i = 0; i < shares.Length; i++)
        {
            _ownership[current.Members[i].Address] = (shares[i], current.Weights[i]);
            _seen[current.Members[i].Address] = current.Members[i];
        }

        foreach (string forgotten in _gone.Update(_measured, current, time.GetTimestamp())) _seen.Remove(forgotten);
        _measured = current;
        _measuredAt = time.GetUtcNow();
    }

    private FleetGateway Describe(GatewayStatus status)
    {
        bool inRing = _ownership.TryGetValue(status.Address, out (double Share, int Weight) owned);
        long redirects = _seen.TryGetValue(status.Address, out Gateway? gateway) ? gateway.Redirects.Sum() : 0;
        return new FleetGateway(status, inRing, owned.Share, redirects) { Weight = inRing ? owned.Weight : status.Weight };
    }
}

/// <summary>One consistent snapshot for the metrics, the API and the page.</summary>
/// <param name="Ring">Null before the first ring.</param>
/// <param name="Gateways">All known gateways, in the ring or not, sorted by address.</param>
internal sealed record FleetView(HashRing<Gateway>? Ring, MembershipView Membership, ImmutableArray<FleetGateway> Gateways);

/// <param name="Ownership">Share of the hash space, 0 to 1; 0 outside the ring.</param>
/// <param name="Redirects">Since startup.</param>
internal sealed record FleetGateway(GatewayStatus Status, bool InRing, double Ownership, long Redirects)
{
    /// <summary>That it has in the ring; outside, that it would have.</summary>
    public int Weight { get; init; } = 1;
}
