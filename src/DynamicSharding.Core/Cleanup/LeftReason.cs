using System.Collections.Immutable;

namespace DynamicSharding.Cleanup;

/// <summary>Why a copy that may be stale was not deleted. The names are in <see cref="LeftReasons"/>, in this order.</summary>
internal enum LeftReason
{
    /// <summary>The only copy that counts: the owner has none.</summary>
    OwnerMissing,

    /// <summary>The owner's copy is not newer by the margin.</summary>
    NotOlder,

    /// <summary>The last push to the owner's copy failed.</summary>
    OwnerFailed,

    /// <summary>It has metric families that the owner's copy lacks.</summary>
    MissingMetrics,

    /// <summary>A gateway on which the decision depends could not be read, or responded too late.</summary>
    Unread,

    /// <summary>A gateway's clock differs from ours by too much, or is not known.</summary>
    ClockSkew,

    /// <summary>A pushed metric hides its labels, or they are not UTF-8 or cannot be named to the gateway, or it has no time.</summary>
    Unnameable,

    /// <summary>It was pushed to, or the owner's copy was, while the pass ran.</summary>
    Changed,

    /// <summary>Its gateway, or the owner, restarted while the pass ran.</summary>
    Restarted,

    /// <summary>The gateway's write queue stayed full.</summary>
    Overloaded,

    /// <summary>The gateway refused the DELETE.</summary>
    DeleteFailed,

    /// <summary>The pass ended: the ring changed, the lease was lost, or the process stops.</summary>
    Stopped,

    /// <summary>More copies matter than fit into memory.</summary>
    NoRoom,
}

internal static class LeftReasons
{
    private static readonly ImmutableArray<(string Label, string Sentence)> Texts =
    [
        ("owner_missing", "its owner has no copy: this is the only one until the next push"),
        ("not_older", "the owner's copy is not newer by more than the margin: wait for the next push"),
        ("owner_failed", "the last push to the owner's copy failed"),
        ("missing_metrics", "it has metrics that the owner's copy lacks: look at it yourself"),
        ("unread", "a gateway on which the decision depends could not be read"),
        ("clock_skew", "the clock of a gateway is wrong by more than 30 s, or unknown"),
        ("unnameable", "its labels are hidden by a metric, are not UTF-8 or cannot be named to its gateway, or it has no push time"),
        ("changed", "it changed while the pass ran"),
        ("restarted", "a gateway restarted while the pass ran"),
        ("overloaded", "the gateway's write queue stayed full"),
        ("delete_failed", "the gateway refused the DELETE"),
        ("stopped", "the pass ended early"),
        ("no_room", "too many copies to keep in memory; another pass follows"),
    ];

    /// <summary>Reasons that say nothing about the copy: another pass must look again.</summary>
    public static ImmutableArray<LeftReason> ForLater { get; } =
    [
        LeftReason.Unread, LeftReason.ClockSkew, LeftReason.Changed, LeftReason.Restarted, LeftReason.Overloaded, LeftReason.DeleteFailed,
        LeftReason.Stopped, LeftReason.NoRoom,
    ];

    public static ImmutableArray<LeftReason> All { get; } = [.. Enum.GetValues<LeftReason>()];

    /// <summary>The value of the <c>reason</c> label and of the JSON field.</summary>
    public static string Label(LeftReason reason) => Texts[(int)reason].Label;

    public static string Sentence(LeftReason reason) => Texts[(int)reason].Sentence;
}

/// <summary>Why a copy was deleted. The names are in <see cref="DeleteReasons"/>, in this order.</summary>
internal enum DeleteReason
{
    /// <summary>The owner has a newer copy.</summary>
    Stale,

    /// <summary>A rule of <c>cleanup.expire</c>.</summary>
    Expired,

    /// <summary>A client has deleted the group since.</summary>
    Deleted,
}

internal static class DeleteReasons
{
    private static readonly ImmutableArray<string> Labels = ["stale", "expired", "deleted"];

    public static ImmutableArray<DeleteReason> All { get; } = [.. Enum.GetValues<DeleteReason>()];

    /// <summary>The value of the <c>reason</c> label and of the JSON field.</summary>
    public static string Label(DeleteReason reason) => Labels[(int)reason];
}
