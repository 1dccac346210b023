namespace DynamicSharding.Benchmarks;

/// <summary>Eight times the length: shows that the cost grows nearly linearly.</summary>
public class LongHostilePaths : HostilePaths
{
    protected override int Length => 65536;
}
