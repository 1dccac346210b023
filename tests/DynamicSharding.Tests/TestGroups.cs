using DynamicSharding.Tests;

// Many tests wait for a timer or an exchange on the loopback interface.
[assembly: CollectionBehavior(MaxParallelThreads = 8)]
[assembly: TestCollectionOrderer(LongestFirst.Name, "DynamicSharding.Tests")]
