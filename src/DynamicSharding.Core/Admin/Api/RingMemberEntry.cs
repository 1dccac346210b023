namespace DynamicSharding.Admin.Api;

internal sealed record RingMemberEntry(string Address, double Ownership);
