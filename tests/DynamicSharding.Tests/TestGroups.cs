using DynamicSharding.Tests;

// Many tests wait for a timer or an exchange on the loopback interface.
[assembly: CollectionBehavior(MaxParallelThreads = 8)]
[assembly: TestCollectionOrderer(LongestFirst.Name, "DynamicSharding.Tests")]

namespace DynamicSharding.Tests;

/// <summary>Tests that watch the whole process (allocations, exceptions), or take all of it: no other test runs at the same time.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWideTestGroup
{
    public const string Name = "process-wide";
}
