using System.Text.Json;

namespace DynamicSharding.Fleet;

/// <param name="Config">The configuration file of all edges.</param>
/// <param name="Edges">To simulate.</param>
/// <param name="Proxies">Of real processes beside them.</param>
internal sealed record FleetSettings(string Config, FleetEndpoint[] Edges, FleetEndpoint[] Proxies);

/// <param name="Listen">Where the counting proxy listens: what the edge takes for its agent.</param>
/// <param name="Agent">The HTTP API of its agent.</param>
internal sealed record FleetEndpoint(int Id, string Listen, string Agent);

/// <param name="Command">
/// <c>start</c> and <c>stop</c> all edges; <c>apply</c> a configuration to some, as a reload does; <c>rings</c> now; <c>state</c> with the ring
/// changes since a time; <c>traffic</c> between two times.
/// </param>
/// <param name="From">In seconds since 1970, as all times.</param>
internal sealed record FleetCommand(string Command, int[]? Edges = null, string? Config = null, double From = 0, double To = 0);

/// <summary>How many edges have a ring.</summary>
internal sealed record RingCount(string? Fingerprint, int Members, int Edges, int Ready);

/// <param name="Ready">When it became ready; null before.</param>
/// <param name="Changes">Oldest first, the first ring of the process too.</param>
/// <param name="Failures">Failed queries since its start.</param>
/// <param name="Writes">Registrations and deregistrations since its start.</param>
internal sealed record EdgeState(int Id, double? Ready, string? Fingerprint, int Members, RingState[] Changes, long Failures, long Writes);

/// <param name="At">When it was published.</param>
/// <param name="Build">Seconds that its ring took.</param>
internal sealed record RingState(double At, string Cause, string Fingerprint, int Members, double Build);

/// <param name="Requests">Begun between the two times, by kind.</param>
/// <param name="Failed">Of them, those without a response or with another status than 200.</param>
/// <param name="Sent">Bytes of these requests.</param>
/// <param name="Received">Bytes of the responses that ended between the two times, as they were on the wire.</param>
internal sealed record EdgeTraffic(int Id, Dictionary<string, int> Requests, int Failed, long Sent, long Received);

internal static class FleetJson
{
    public static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static double ToSeconds(DateTimeOffset moment) => (moment - DateTimeOffset.UnixEpoch).TotalSeconds;
}
