namespace DynamicSharding.Consul;

internal enum ConsistencyMode
{
    Default,
    Consistent,

    /// <summary>Any server may answer: reads go on while there is no leader.</summary>
    Stale,
}
