namespace DynamicSharding.Config;

internal sealed record ShardingOptions
{
    public ShardingKey Key { get; init; } = ShardingKey.Group;

    /// <summary>Points of a ring: 80 MB, twice while it is replaced, and about a second to build.</summary>
    public const int MaxPoints = 10_000_000;

    /// <summary>Points per gateway on the ring.</summary>
    public int Replicas { get; init; } = 500;
}
