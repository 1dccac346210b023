using System.Collections.Immutable;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>Who the gateways are, and what their health is.</summary>
internal interface IGatewaySource : IAsyncDisposable
{
    DiscoveryStatus Status { get; }

    /// <summary>Reports whenever something changed, until it is cancelled; it never ends on its own and never throws for what it meets.</summary>
    IAsyncEnumerable<GatewayReport> WatchAsync(CancellationToken ct);

    /// <summary>
    /// True while this source speaks for somebody else who may fall silent without an error: time counts only between reports, and
    /// <see cref="Confirm"/> asks for one.
    /// </summary>
    bool NeedsConfirmation { get; }

    /// <summary>Asks for a report of this moment, or for one that says that nothing can be heard. Never waits.</summary>
    void Confirm();

    /// <summary>Takes over a reloaded configuration. Never waits.</summary>
    void Apply(ServerOptions options);
}

/// <summary>Everything a source knows at one moment. A gateway that it does not name has no verdict.</summary>
/// <param name="Verdicts">At most one per address.</param>
/// <param name="VerdictTimeout">How long a gateway without a verdict keeps its state; infinite where a verdict is sure to come.</param>
internal sealed record GatewayReport(ImmutableArray<GatewayVerdict> Verdicts, TimeSpan VerdictTimeout)
{
    /// <summary>The source lost its own source: what was known stays true, and nothing may be concluded from time going by.</summary>
    public static readonly GatewayReport Interruption = new([], Timeout.InfiniteTimeSpan) { Interrupted = true };

    public bool Interrupted { get; private init; }

    /// <summary>Time counts only from one such report to the next, and only if they are close together.</summary>
    public bool MustBeFresh { get; init; }

    /// <summary>When the source's own source said so, as a timestamp of the clock; null: now. Judging old words anew makes them no newer.</summary>
    public long? HeardAt { get; init; }

    /// <summary>The first answer of the authority: it is taken over as it is, without damping, in place of the guesses before it.</summary>
    public bool Adopt { get; init; }
}

/// <summary>What a source says about one gateway at one moment.</summary>
/// <param name="Address"><c>host:port</c>.</param>
/// <param name="Health">Its verdict.</param>
/// <param name="Overloaded">It answers that its write queue is full, and passes for that.</param>
/// <param name="Output">What the last check said, shortened; null when it said nothing.</param>
internal sealed record GatewayVerdict(string Address, GatewayHealth Health, bool Overloaded, string? Output)
{
    private const int MaxOutput = 256;

    /// <summary>It has a registration that no instance of ours made, nor the original: somebody else says that it exists.</summary>
    public bool Foreign { get; init; }
    /// <summary>Consul says passing, and no check has said anything: so it was registered, or there is no check.</summary>
    public bool IsUnproven => Health == GatewayHealth.Passing && Output is null;

    /// <summary>Check output comes from elsewhere: one line of bounded length, without control characters, is kept.</summary>
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

/// <summary>What a source knows about a gateway.</summary>
internal enum GatewayHealth
{
    /// <summary>No verdict: not asked yet, missing from Consul's answer, or critical without a probe's output.</summary>
    Unknown,

    Passing,

    Critical,

    /// <summary>An operator took it out.</summary>
    Maintenance,
}

/// <summary>How the source of gateways is doing, for metrics and the status API.</summary>
/// <param name="Source">Where the gateways come from.</param>
/// <param name="LastGoodAnswer">Consul's, or when the last probe of a listed gateway ended. Null until the first, and for a list without probes.</param>
/// <param name="Failures">Failed refreshes since the start.</param>
/// <param name="LastError">The last failure in words; null after a success.</param>
/// <param name="ConsulIndex">X-Consul-Index of the last good answer; 0 without Consul.</param>
/// <param name="ConsulLastContact">How stale the answering server said it was; null without Consul.</param>
internal sealed record DiscoveryStatus(
    DiscoveryKind Source,
    DateTimeOffset? LastGoodAnswer,
    long Failures,
    string? LastError,
    ulong ConsulIndex,
    TimeSpan? ConsulLastContact)
{
    /// <summary>Whether the answering server knew a leader; null without Consul.</summary>
    public bool? ConsulKnownLeader { get; init; }

    /// <summary>Rows of Consul's answers that name no usable address, since the start.</summary>
    public long SkippedAddresses { get; init; }

    /// <summary>Configured, absent from Consul's response for longer than a registration takes, and passing our own probe.</summary>
    public ImmutableArray<string> HiddenGateways { get; init; } = [];

    /// <summary>Registrations and deregistrations that Consul accepted.</summary>
    public long RegistrationWrites { get; init; }

    /// <summary>Rounds of registration that failed.</summary>
    public long RegistrationFailures { get; init; }
}
