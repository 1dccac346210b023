namespace DynamicSharding.Config;

internal sealed record ShardingOptions
{
    public ShardingKey Key { get; init; } = ShardingKey.Group;

    /// <summary>Points per gateway on the ring.</summary>
    public int Replicas { get; init; } = 500;
}
