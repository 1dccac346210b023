using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Admin;

/// <summary>Everything the admin listener looks at. Each function is called from pool threads, several at once.</summary>
internal sealed record AdminContext
{
    /// <summary>The configuration in force.</summary>
    public required Func<ServerOptions> Options { get; init; }

    /// <summary>The same object that the data plane reads.</summary>
    public required ActiveRing Ring { get; init; }

    public required Func<MembershipView> Membership { get; init; }

    public required DataPlaneCounters Counters { get; init; }

    /// <summary>Null when the forward listener is off.</summary>
    public ForwardCounters? Forward { get; init; }

    public required Readiness Readiness { get; init; }

    /// <summary>Loads the file again and applies what changed. Calls that overlap are the callee's to put in order.</summary>
    public required Func<CancellationToken, Task<ReloadResult>> Reload { get; init; }

    public required Func<ReloadStatus> ReloadStatus { get; init; }

    /// <summary>A grouping key that nobody else uses, in the mode of the data plane.</summary>
    public required Func<GroupingKey> GroupingKey { get; init; }

    public required BuildInfo Build { get; init; }

    /// <summary>When the process started.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>When that was on <see cref="Time"/>'s other clock, which nobody sets back.</summary>
    public required long StartedTimestamp { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILoggerFactory LoggerFactory { get; init; }
}

/// <summary>How a reload ended.</summary>
/// <param name="Applied">False: nothing changed, <paramref name="Errors"/> says why.</param>
/// <param name="Errors">One line each, with file, line and column.</param>
/// <param name="NeedRestart">Keys whose new value waits for a restart.</param>
internal sealed record ReloadResult(bool Applied, IReadOnlyList<string> Errors, IReadOnlyList<string> NeedRestart);

/// <summary>The last attempt to load the configuration, the one at start included.</summary>
internal sealed record ReloadStatus(bool LastSuccessful, DateTimeOffset LastSuccess)
{
    /// <summary>Why the last one failed.</summary>
    public IReadOnlyList<string> Errors { get; init; } = [];

    /// <summary>Keys whose new value waits for a restart.</summary>
    public IReadOnlyList<string> NeedRestart { get; init; } = [];
}
