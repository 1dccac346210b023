using System.Collections.Immutable;

namespace DynamicSharding.Cleanup;

/// <summary>An immutable snapshot of the cleanup for operators.</summary>
internal sealed record CleanupView
{
    public static CleanupView Off { get; } = new();

    public bool Enabled { get; init; }

    public bool DryRun { get; init; }

    /// <summary>Null without Consul, where no lease is needed.</summary>
    public bool? HoldsLease { get; init; }

    /// <summary>The instance that holds it.</summary>
    public string? LeaseHolder { get; init; }

    /// <summary>Requests for the lease that failed, since startup; null without Consul.</summary>
    public long? LeaseFailures { get; init; }

    /// <summary>Why no pass may start now; null if one may.</summary>
    public string? Waiting { get; init; }

    public bool IsRunning { get; init; }

    /// <summary>Null before the first.</summary>
    public CleanupReport? Last { get; init; }

    /// <summary>When the last pass ended that read every gateway of the ring.</summary>
    public DateTimeOffset? LastSuccess { get; init; }

    /// <summary>Since startup, in the order of <see cref="DeleteReasons.All"/>.</summary>
    public ImmutableArray<long> Deleted { get; init; } = [.. DeleteReasons.All.Select(static _ => 0L)];

    /// <summary>Groups that clients deleted through this instance within the last day.</summary>
    public int RememberedDeletes { get; init; }

    /// <summary>DELETEs that could not be remembered, since startup.</summary>
    public long LostDeletes { get; init; }

    /// <summary>That ended, since startup.</summary>
    public long Passes { get; init; }

    /// <summary>Of these, those that could not read a gateway of the ring or ended early.</summary>
    public long FailedPasses { get; init; }
}
