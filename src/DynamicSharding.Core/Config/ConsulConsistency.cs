namespace DynamicSharding.Config;

internal enum ConsulConsistency
{
    Stale,
    Default,
    Consistent,
}
