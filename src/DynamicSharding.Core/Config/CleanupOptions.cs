using System.Collections.Immutable;

namespace DynamicSharding.Config;

/// <summary>The deletion of stale copies, expired groups and what clients deleted.</summary>
internal sealed record CleanupOptions
{
    public bool Enabled { get; init; }

    /// <summary>Everything but the deletes.</summary>
    public bool DryRun { get; init; }

    /// <summary>Between full passes.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long the ring, and every fingerprint seen, must be unchanged.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>A copy is older only by more than this, or twice the measured clock skew.</summary>
    public TimeSpan Margin { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Groups that are never touched.</summary>
    public ImmutableArray<GroupMatcher> Exclude { get; init; } = [];

    public ImmutableArray<ExpireRule> Expire { get; init; } = [];
}

/// <summary>Groups that nobody has pushed to for a while.</summary>
/// <param name="Match">One of these is enough.</param>
/// <param name="After">Since the last push to the newest copy.</param>
internal sealed record ExpireRule(ImmutableArray<GroupMatcher> Match, TimeSpan After)
{
    public bool Equals(ExpireRule? other) => other is not null && After == other.After && Match.AsSpan().SequenceEqual(other.Match.AsSpan());

    public override int GetHashCode() => HashCode.Combine(After, Match.Length);
}
