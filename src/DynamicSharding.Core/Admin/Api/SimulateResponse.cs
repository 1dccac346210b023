namespace DynamicSharding.Admin.Api;

/// <summary><c>GET /api/v1/simulate?add=&amp;remove=</c>: the ring as it would be.</summary>
/// <param name="MovedRatio">Share of the hash space, 0 to 1, that would have another owner.</param>
internal sealed record SimulateResponse(string Fingerprint, double MovedRatio, IReadOnlyList<SimulatedGateway> Gateways);
