namespace DynamicSharding.Admin.Api;

/// <summary><c>GET /api/v1/ring</c>.</summary>
/// <param name="Fingerprint">Null, with no members, until the first ring was published.</param>
internal sealed record RingResponse(string? Fingerprint, int Replicas, string Key, IReadOnlyList<RingMemberEntry> Members);
