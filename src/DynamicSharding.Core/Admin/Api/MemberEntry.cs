namespace DynamicSharding.Admin.Api;

/// <summary>A known gateway, in the ring or not.</summary>
internal sealed record MemberEntry(
    string Address,
    string State,
    bool InRing,
    DateTimeOffset Since,
    string Reason,
    string? CheckOutput,
    bool Overloaded,
    double Ownership,
    long Redirects,
    double RedirectsPerSecond)
{
    public static MemberEntry From(FleetGateway gateway, double redirectsPerSecond) => new(
        gateway.Status.Address,
        GatewayStates.Label(gateway.Status.State),
        gateway.InRing,
        gateway.Status.Since,
        gateway.Status.Reason,
        gateway.Status.CheckOutput,
        gateway.Status.Overloaded,
        gateway.Ownership,
        gateway.Redirects,
        redirectsPerSecond);
}
