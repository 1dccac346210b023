namespace DynamicSharding.Admin.Api;

/// <summary><c>GET /api/v1/status</c>. Names in JSON are these in snake_case, here and in every other answer.</summary>
internal sealed record StatusResponse(
    string Version,
    string Revision,
    DateTimeOffset Started,
    double UptimeSeconds,
    bool Ready,
    string ReadyReason,
    string? Fingerprint,
    int Replicas,
    string Key,
    DiscoveryEntry Discovery,
    IReadOnlyList<MemberEntry> Members,
    IReadOnlyList<string> Configured,
    long Changes,
    ChangeEntry? LastChange,
    double RequestsPerSecond,
    IReadOnlyList<WarningEntry> Warnings);
