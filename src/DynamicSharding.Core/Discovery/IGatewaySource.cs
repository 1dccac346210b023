using System.Collections.Immutable;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>Finds the gateways and their health.</summary>
internal interface IGatewaySource : IAsyncDisposable
{
    DiscoveryStatus Status { get; }

    /// <summary>Reports every change until it is canceled. No failure of a server or a gateway ends it.</summary>
    IAsyncEnumerable<GatewayReport> WatchAsync(CancellationToken ct);

    /// <summary>
    /// True while the reports come from a server that may fall silent without an error. Time then counts only between reports, and
    /// <see cref="Confirm"/> requests one.
    /// </summary>
    bool NeedsConfirmation { get; }

    /// <summary>False while a change may be known to the source that is not reported yet.</summary>
    bool IsUpToDate { get; }

    /// <summary>Requests a current report, which is an interruption if the server does not respond. Never waits.</summary>
    void Confirm();

    /// <summary>Applies a reloaded configuration. Never waits.</summary>
    void Apply(ServerOptions options);
}

/// <summary>Everything a source knows at one moment.</summary>
/// <param name="Verdicts">At most one per address. A gateway that is not listed has no verdict.</param>
/// <param name="VerdictTimeout">How long a gateway without a verdict keeps its state; infinite where a verdict is certain to come.</param>
internal sealed record GatewayReport(ImmutableArray<GatewayVerdict> Verdicts, TimeSpan VerdictTimeout)
{
    /// <summary>The source has no information. What was known stays, and no time passes.</summary>
    public static readonly GatewayReport Interruption = new([], Timeout.InfiniteTimeSpan) { Interrupted = true };

    public bool Interrupted { get; private init; }

    /// <summary>Time counts only between such reports, and only if they are close together.</summary>
    public bool MustBeFresh { get; init; }

    /// <summary>When the information was received, as a timestamp of the clock; null for now. Evaluating it again does not renew it.</summary>
    public long? ReceivedAt { get; init; }

    /// <summary>
    /// The verdicts are of a complete list: a gateway that is not in it is lost. The first list is the first ring, as the configured gateways
    /// are with a static list.
    /// </summary>
    public bool IsList { get; init; }

    /// <summary>Consul's first response: it replaces the assumptions before it at once, without damping.</summary>
    public bool Adopt { get; init; }

    /// <summary>The source has not reported yet: these are the configured gateways, as our own probes see them.</summary>
    public bool Provisional { get; init; }
}

/// <summary>What a source knows about one gateway at one moment.</summary>
/// <param name="Overloaded">Its write queue is full, which counts as passing.</param>
/// <param name="Output">Of the last check, shortened; null without any.</param>
internal sealed record GatewayVerdict(string Address, GatewayHealth Health, bool Overloaded, string? Output)
{
    /// <summary>The output while health checks are off.</summary>
    public const string NotChecked = "not checked";

    private const int MaxOutput = 256;

    /// <summary>It has a registration that neither this program nor the original made.</summary>
    public bool Foreign { get; init; }

    /// <summary>From 0 to <see cref="ShardingOptions.MaxWeight"/>. Null if the source says nothing about it: what it said before stays.</summary>
    public int? Weight { get; init; }

    /// <summary>Passing in Consul without any check output: it was registered that way, or it has no check.</summary>
    public bool IsUnproven => Health == GatewayHealth.Passing && Output is null;

    /// <summary>Reduces untrusted text to one line of bounded length without control characters.</summary>
    public static string? Shorten(string? output)
    {
        if (string.IsNullOrWhiteSpace(output)) return null;
        ReadOnlySpan<char> text = output.AsSpan().Trim();
        return string.Create(Math.Min(text.Length, MaxOutput), text, static (line, source) =>
        {
            for (int i = 0; i < line.Length; i++) line[i] = char.IsControl(source[i]) ? ' ' : source[i];
        });
    }
}

internal enum GatewayHealth
{
    /// <summary>No verdict: not probed yet, absent from Consul's response, or critical without a check's output.</summary>
    Unknown,
    Passing,
    Critical,

    /// <summary>An operator took it out.</summary>
    Maintenance,
}

/// <summary>The state of discovery, for metrics and the status API.</summary>
/// <param name="LastGoodAnswer">
/// The last usable response, or with static discovery the end of the last probe. Null before the first, and for static discovery without probes.
/// </param>
/// <param name="Failures">Failed queries since the start.</param>
/// <param name="LastError">The last failure; null after a success.</param>
/// <param name="ConsulIndex">X-Consul-Index of the last usable response; 0 without Consul.</param>
/// <param name="ConsulLastContact">How far the responding server lagged behind; null without Consul.</param>
internal sealed record DiscoveryStatus(
    DiscoveryKind Source,
    DateTimeOffset? LastGoodAnswer,
    long Failures,
    string? LastError,
    ulong ConsulIndex,
    TimeSpan? ConsulLastContact)
{
    /// <summary>Whether the responding server knew a leader; null without Consul.</summary>
    public bool? ConsulKnownLeader { get; init; }

    /// <summary>Rows without a usable address in Consul's responses, since the start.</summary>
    public long SkippedAddresses { get; init; }

    /// <summary>Configured, absent from Consul's response for longer than a registration takes, and passing our own probe.</summary>
    public ImmutableArray<string> HiddenGateways { get; init; } = [];

    /// <summary>Registrations and deregistrations that Consul accepted.</summary>
    public long RegistrationWrites { get; init; }

    /// <summary>Rounds of registration that failed, or found lost what had been written shortly before.</summary>
    public long RegistrationFailures { get; init; }

    /// <summary>The last failure; null after a success.</summary>
    public string? RegistrationError { get; init; }
}
