using System.Collections.Immutable;

namespace DynamicSharding.Cleanup;

/// <summary>What a pass found and did.</summary>
internal sealed record CleanupReport
{
    public required DateTimeOffset StartedAt { get; init; }

    public TimeSpan Duration { get; init; }

    public bool DryRun { get; init; }

    public ImmutableArray<CleanupGateway> Gateways { get; init; } = [];

    /// <summary>Copies of groups, on all gateways.</summary>
    public long Groups { get; init; }

    /// <summary>Copies on gateways that do not own their group.</summary>
    public long Misplaced { get; init; }

    /// <summary>Misplaced copies that are still there after the pass, unless their owner is known to have none.</summary>
    public long Stale { get; init; }

    /// <summary>Deleted, or in a dry run what would have been; in the order of <see cref="DeleteReasons.All"/>.</summary>
    public ImmutableArray<long> Deleted { get; init; } = [.. DeleteReasons.All.Select(static _ => 0L)];

    /// <summary>In the order of <see cref="LeftReasons.All"/>.</summary>
    public ImmutableArray<long> Left { get; init; } = [.. LeftReasons.All.Select(static _ => 0L)];

    /// <summary>The first of them.</summary>
    public ImmutableArray<LeftCopy> LeftCopies { get; init; } = [];

    /// <summary>The first of them.</summary>
    public ImmutableArray<DeletedCopy> DeletedCopies { get; init; } = [];

    /// <summary>More copies matter than fit into memory, or the pass was stopped: another one has to follow.</summary>
    public bool IsPartial { get; init; }

    /// <summary>In the ring or not.</summary>
    public bool ReadEveryGateway => Gateways.All(static gateway => gateway.Error is null);

    /// <summary>
    /// Every gateway in the ring was read, and nothing stopped the pass. Others own nothing: without one of them, what depends on it is left, and
    /// one that is gone for good must not look like a cleanup that fails.
    /// </summary>
    public bool IsSuccess => !IsPartial && Gateways.All(static gateway => gateway.Error is null || !gateway.InRing);
}

/// <param name="Error">Why it could not be read; null if it was.</param>
/// <param name="Skew">Its clock minus ours; null if unknown.</param>
internal sealed record CleanupGateway(string Address, long Groups, long Misplaced, string? Error, TimeSpan? Skew)
{
    /// <summary>A member of the ring that the pass was about; else it was one, or is known from the configuration or discovery.</summary>
    public bool InRing { get; init; }
}

internal sealed record LeftCopy(ImmutableArray<KeyValuePair<string, string>> Labels, string Gateway, string? Owner, LeftReason Reason, double PushTime);

internal sealed record DeletedCopy(ImmutableArray<KeyValuePair<string, string>> Labels, string Gateway, DeleteReason Reason, double PushTime);
