using BenchmarkDotNet.Attributes;

namespace DynamicSharding.Benchmarks;

/// <summary>Eight times the length: shows that the cost grows nearly linearly.</summary>
[BenchmarkCategory(AllocationGate.NotGated)]
public class LongHostilePaths : HostilePaths
{
    protected override int Length => 65536;
}
