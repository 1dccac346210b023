using System.Text.Json.Serialization;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;

namespace DynamicSharding.Admin;

/// <summary><c>GET /api/v1/status</c>. JSON names are the snake_case form of these names, in every response.</summary>
/// <param name="GatewayScheme">Of the redirects, as is the prefix: with an address they are a Location.</param>
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
    string HttpPathPrefix,
    string GatewayScheme,
    string GatewayPathPrefix,
    DiscoveryEntry Discovery,
    IReadOnlyList<MemberEntry> Members,
    IReadOnlyList<string> Configured,
    ConfigFileEntry ConfigFile,
    long Changes,
    ChangeEntry? LastChange,
    double RequestsPerSecond,
    IReadOnlyList<WarningEntry> Warnings);

/// <param name="State"><c>loaded</c>, <c>edited</c>, <c>missing</c>, or <c>unknown</c> if it came through a pipe.</param>
/// <param name="Error">Why the file would not load: at once after a failed reload, after an edit once that has been checked.</param>
internal sealed record ConfigFileEntry(string State, DateTimeOffset? EditedAt, string? Error)
{
    public static ConfigFileEntry From(ConfigFileStatus file) => new(
        file.State switch
        {
            ConfigFileState.Loaded => "loaded",
            ConfigFileState.Edited => "edited",
            ConfigFileState.Missing => "missing",
            _ => "unknown",
        },
        file.EditedAt,
        file.Error);
}

/// <summary>A known gateway, in the ring or not.</summary>
internal sealed record MemberEntry(
    string Address,
    string State,
    bool InRing,
    int Weight,
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
        gateway.Weight,
        gateway.Status.Since,
        gateway.Status.Reason,
        gateway.Status.CheckOutput,
        gateway.Status.Overloaded,
        gateway.Ownership,
        gateway.Redirects,
        redirectsPerSecond);
}

/// <param name="SecondsSinceGoodAnswer">
/// By the clock of this process; null before the first response, and for a list that is not probed. An idle Consul responds about once a minute.
/// </param>
/// <param name="ConsulIndex">Null without Consul.</param>
internal sealed record DiscoveryEntry(
    string Source,
    DateTimeOffset? LastGoodAnswer,
    double? SecondsSinceGoodAnswer,
    long Failures,
    string? LastError,
    ulong? ConsulIndex,
    double? ConsulLastContactSeconds)
{
    public static DiscoveryEntry From(DiscoveryStatus status, DateTimeOffset now) => new(
        status.Source.Name(),
        status.LastGoodAnswer,
        status.LastGoodAnswer is { } last ? Math.Max(0, (now - last).TotalSeconds) : null,
        status.Failures,
        status.LastError,
        status.Source == DiscoveryKind.Consul ? status.ConsulIndex : null,
        status.ConsulLastContact?.TotalSeconds);
}

/// <param name="Severity"><c>critical</c>, <c>warning</c> or <c>note</c>.</param>
/// <param name="Remedy">What to do about it.</param>
internal sealed record WarningEntry(string Severity, string What, string Remedy)
{
    public const string Critical = "critical";
    public const string Warning = "warning";
    public const string Note = "note";
}

/// <summary><c>GET /api/v1/history</c>.</summary>
/// <param name="Changes">Since startup. The first ring is in the list but does not count, and the list may be shorter.</param>
/// <param name="History">Newest first.</param>
internal sealed record HistoryResponse(long Changes, IReadOnlyList<ChangeEntry> History);

internal sealed record ChangeEntry(
    DateTimeOffset At,
    string Reason,
    IReadOnlyList<string> Before,
    IReadOnlyList<string> After,
    double MovedRatio,
    double BuildSeconds,
    string Fingerprint)
{
    public static ChangeEntry From(RingChange change) => new(
        change.At, change.Reason, change.Before, change.After, change.MovedRatio, change.BuildTime.TotalSeconds, change.Fingerprint);
}

/// <summary><c>GET /api/v1/ring</c>.</summary>
/// <param name="Fingerprint">Null before the first ring.</param>
internal sealed record RingResponse(string? Fingerprint, int Replicas, string Key, IReadOnlyList<RingMemberEntry> Members);

internal sealed record RingMemberEntry(string Address, int Weight, double Ownership);


/// <summary>An element of <c>GET /api/v1/sd</c>: a target group of Prometheus' <c>http_sd</c>.</summary>
internal sealed record TargetGroup(IReadOnlyList<string> Targets, SortedDictionary<string, string> Labels);

internal sealed record ErrorResponse(string Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StatusResponse))]
[JsonSerializable(typeof(RingResponse))]
[JsonSerializable(typeof(HistoryResponse))]
[JsonSerializable(typeof(LookupResponse))]
[JsonSerializable(typeof(SimulateResponse))]
[JsonSerializable(typeof(IReadOnlyList<TargetGroup>))]
[JsonSerializable(typeof(CleanupResponse))]
[JsonSerializable(typeof(ErrorResponse))]
internal sealed partial class AdminJson : JsonSerializerContext;
