namespace DynamicSharding.Consul;

/// <summary>How a read is made. An index of 0 answers at once; any other blocks until something newer is there or the wait is over.</summary>
internal readonly record struct QueryOptions(ConsistencyMode Consistency, ulong WaitIndex, TimeSpan WaitTime);
