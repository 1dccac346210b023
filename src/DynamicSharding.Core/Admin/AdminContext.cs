using System.Collections.Immutable;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Membership;
using DynamicSharding.Outbound;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using DynamicSharding.Web;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>What the admin listener shows. Its functions are called from several threads at once.</summary>
internal sealed record AdminContext
{
    /// <summary>The active configuration.</summary>
    public required Func<ServerOptions> Options { get; init; }

    /// <summary>The object that the data plane reads.</summary>
    public required ActiveRing Ring { get; init; }

    public required Func<MembershipView> Membership { get; init; }

    public Func<CleanupView> Cleanup { get; init; } = static () => CleanupView.Off;

    /// <summary>Null where there are no gateways to read.</summary>
    public GroupSource? Groups { get; init; }

    public required DataPlaneCounters Counters { get; init; }

    /// <summary>Null without a forward listener.</summary>
    public ForwardCounters? Forward { get; init; }

    /// <summary>Of the listeners that speak TLS.</summary>
    public IReadOnlyList<ServerCertificate> Certificates { get; init; } = [];

    /// <summary>Null for gateways with plain HTTP.</summary>
    public GatewayTls? GatewayTls { get; init; }

    public required Readiness Readiness { get; init; }

    /// <summary>Reloads the configuration file. The callee serializes overlapping calls.</summary>
    public required Func<CancellationToken, Task<ReloadResult>> Reload { get; init; }

    public required Func<ReloadStatus> ReloadStatus { get; init; }

    /// <summary>Whether the configuration file is what was loaded.</summary>
    public Func<ConfigFileStatus> ConfigFile { get; init; } = static () => ConfigFileStatus.Unknown;

    /// <summary>Creates a grouping key in the mode of the data plane.</summary>
    public required Func<GroupingKey> GroupingKey { get; init; }

    public required BuildInfo Build { get; init; }

    public required DateTimeOffset Started { get; init; }

    /// <summary>The same as a timestamp of <see cref="Time"/>, which is never set back.</summary>
    public required long StartedTimestamp { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILoggerFactory LoggerFactory { get; init; }
}

/// <summary>Reads the groups of gateways.</summary>
/// <param name="Targets">The gateways that may hold any, as of now.</param>
internal sealed record GroupSource(PushgatewayClient Client, Func<ImmutableArray<CleanupTarget>> Targets);

/// <param name="Applied">False if nothing changed, because of <paramref name="Errors"/>.</param>
/// <param name="Errors">One line each, with file, line and column.</param>
/// <param name="NeedRestart">Keys whose new value takes effect after a restart.</param>
internal sealed record ReloadResult(bool Applied, IReadOnlyList<string> Errors, IReadOnlyList<string> NeedRestart);

/// <summary>The last attempt to load the configuration, including the one at startup.</summary>
internal sealed record ReloadStatus(bool LastSuccessful, DateTimeOffset LastSuccess)
{
    public IReadOnlyList<string> Errors { get; init; } = [];

    /// <summary>Keys whose new value takes effect after a restart.</summary>
    public IReadOnlyList<string> NeedRestart { get; init; } = [];
}

internal enum ConfigFileState
{
    /// <summary>It came through a pipe, or cannot be looked at.</summary>
    Unknown,
    Loaded,

    /// <summary>Since the last load that succeeded; or the last one failed, perhaps because of a file that this one names.</summary>
    Edited,
    Missing,
}

/// <param name="EditedAt">As the file system says; null unless its content is not what is loaded.</param>
internal sealed record ConfigFileStatus(ConfigFileState State, DateTimeOffset? EditedAt)
{
    /// <summary>Why the file would not load: its first error. Null if it would, or while that is not known.</summary>
    public string? Error { get; init; }

    public static ConfigFileStatus Unknown { get; } = new(ConfigFileState.Unknown, null);
}
