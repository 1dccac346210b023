// Most tests wait for something: for a health check, for a poll of Consul, for a deadline. They do so side by side, each class with peers
// and ports of its own. More threads than this give false verdicts on two cores: a probe that times out because nobody ran.
[assembly: CollectionBehavior(MaxParallelThreads = 4)]


namespace DynamicSharding.FunctionalTests;

/// <summary>
/// For tests that measure something which their neighbors would change (a latency, a rate, memory), or that need ports of a given number:
/// they run one at a time, after all others.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneGroup
{
    public const string Name = "alone";
}
