using System.Collections.Immutable;
using DynamicSharding.Membership;
using DynamicSharding.Ring;

namespace DynamicSharding.Admin;

/// <summary>The ring and the membership as one picture: what metrics and the API both show.</summary>
/// <param name="Ring">Null until the first was published.</param>
/// <param name="Gateways">Every gateway that is known or in the ring, sorted by address.</param>
internal sealed record FleetView(HashRing? Ring, MembershipView Membership, ImmutableArray<FleetGateway> Gateways);
