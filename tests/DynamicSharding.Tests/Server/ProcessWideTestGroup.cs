namespace DynamicSharding.Tests.Server;

/// <summary>Tests that measure the whole process (allocations): no other test runs at the same time.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWideTestGroup
{
    public const string Name = "process-wide";
}
