using DynamicSharding.Tests;

// Most tests wait for a health check, a poll of Consul or a deadline. They run in parallel, each class with its own peers
// and ports. With 14 threads, two cores are three quarters busy; with many more, probes time out because they get no CPU time.
[assembly: CollectionBehavior(MaxParallelThreads = 14)]
[assembly: TestCollectionOrderer(LongestFirst.Name, "DynamicSharding.FunctionalTests")]

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// For tests that measure something other tests would affect (latency, rates, memory), take the whole machine, or need fixed ports:
/// they run one at a time, after all others.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneGroup
{
    public const string Name = "alone";
}
