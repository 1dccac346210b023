namespace DynamicSharding.Config;

internal enum ShardingKey
{
    Group,
    Path,
}
