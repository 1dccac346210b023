using System.Collections.Immutable;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Admin;

/// <summary>
/// Joins the ring with what membership says of each gateway. Remembers the gateways that it has seen in a ring, so that the redirects of
/// one that left go on being shown for as long as it is known, and are the same when it is known again: a counter that began anew in
/// between would seem to have counted all of them at once. The ring's publisher keeps the same objects, and forgets the same ones.
/// </summary>
internal sealed class Fleet(ActiveRing ring, Func<MembershipView> membership, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Gateway> _seen = new(StringComparer.Ordinal);
    private readonly FormerMembers _gone = new();
    private Dictionary<string, double> _ownership = new(StringComparer.Ordinal);
    private HashRing<Gateway>? _measured;
    private DateTimeOffset _measuredAt;

    public FleetView Snapshot()
    {
        // The ring last: it is published before the view that tells of it, so what the view calls a member is there.
        MembershipView view = membership();
        HashRing<Gateway>? current = ring.Current;
        lock (_lock)
        {
            if (current is null) (_measured, _ownership) = (null, new Dictionary<string, double>(StringComparer.Ordinal));
            else if (!ReferenceEquals(current, _measured)) Measure(current);
            var known = new SortedDictionary<string, GatewayStatus>(StringComparer.Ordinal);
            foreach (GatewayStatus status in view.Gateways) known[status.Address] = status;
            foreach (string address in _ownership.Keys)
                known.TryAdd(address, new GatewayStatus(address, GatewayState.Member, _measuredAt, "just let in", null, Overloaded: false));
            return new FleetView(current, view, [.. known.Values.Select(Describe)]);
        }
    }

    // The shares take a walk over all points: once for each ring.
    private void Measure(HashRing<Gateway> current)
    {
        double[] shares = current.OwnershipRatios();
        _ownership = new Dictionary<string, double>(StringComparer.Ordinal);
        for (int i = 0; i < shares.Length; i++)
        {
            _ownership[current.Members[i].Address] = shares[i];
            _seen[current.Members[i].Address] = current.Members[i];
        }

        foreach (string forgotten in _gone.Update(_measured, current)) _seen.Remove(forgotten);
        _measured = current;
        _measuredAt = time.GetUtcNow();
    }

    private FleetGateway Describe(GatewayStatus status)
    {
        bool inRing = _ownership.TryGetValue(status.Address, out double share);
        long redirects = _seen.TryGetValue(status.Address, out Gateway? gateway) ? gateway.Redirects.Sum() : 0;
        return new FleetGateway(status, inRing, share, redirects);
    }
}

/// <summary>The ring and the membership as one picture: what metrics and the API both show.</summary>
/// <param name="Ring">Null until the first was published.</param>
/// <param name="Gateways">Every gateway that is known or in the ring, sorted by address.</param>
internal sealed record FleetView(HashRing<Gateway>? Ring, MembershipView Membership, ImmutableArray<FleetGateway> Gateways);

/// <param name="Ownership">Share of the hash space, 0 to 1; 0 outside the ring.</param>
/// <param name="Redirects">Since the start of the process.</param>
internal sealed record FleetGateway(GatewayStatus Status, bool InRing, double Ownership, long Redirects);
