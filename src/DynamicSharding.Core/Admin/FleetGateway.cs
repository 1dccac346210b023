using DynamicSharding.Membership;

namespace DynamicSharding.Admin;

/// <param name="Ownership">Share of the hash space, 0 to 1; 0 outside the ring.</param>
/// <param name="Redirects">Since the start of the process.</param>
internal sealed record FleetGateway(GatewayStatus Status, bool InRing, double Ownership, long Redirects);
