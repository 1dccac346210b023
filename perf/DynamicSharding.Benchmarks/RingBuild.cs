using BenchmarkDotNet.Attributes;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Benchmarks;

/// <summary>A new ring from its members. The original (Go): 3.4 ms for 10 gateways, 334 ms for 100, 36 s for 1,000.</summary>
public class RingBuild
{
    private Gateway[] _gateways = null!;

    [Params(10, 100, 1000)]
    public int Gateways { get; set; }

    [GlobalSetup]
    public void Setup() => _gateways = Inputs.Gateways(Gateways);

    [Benchmark]
    public int Build() => HashRing<Gateway>.Build(_gateways, Inputs.Replicas, "group").PointCount;
}
