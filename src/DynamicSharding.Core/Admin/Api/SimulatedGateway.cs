namespace DynamicSharding.Admin.Api;

/// <summary>A gateway's share before and after; null where it is no member.</summary>
internal sealed record SimulatedGateway(string Address, double? OwnershipBefore, double? OwnershipAfter);
