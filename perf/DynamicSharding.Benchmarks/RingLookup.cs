using BenchmarkDotNet.Attributes;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Benchmarks;

/// <summary>The owner of a hash, and of a 45-byte path. The original (Go): 76 ns at 10 gateways, 81 ns at 100, with its own hash.</summary>
public class RingLookup
{
    private HashRing<Gateway> _ring = null!;
    private uint[] _hashes = null!;
    private byte[][] _paths = null!;

    [Params(10, 100, 1000)]
    public int Gateways { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _ring = Inputs.Ring(Gateways);
        _hashes = Inputs.Hashes();
        _paths = Inputs.Paths("/metrics/job/#########/instance/########:####");
    }

    [Benchmark(OperationsPerInvoke = Inputs.HashCount)]
    public int Find()
    {
        HashRing<Gateway> ring = _ring;
        Gateway first = ring.Members[0];
        int count = 0;
        foreach (uint hash in _hashes) count += ReferenceEquals(ring.Find(hash), first) ? 1 : 0;
        return count;
    }

    [Benchmark(OperationsPerInvoke = Inputs.PathCount)]
    public int HashAndFind()
    {
        HashRing<Gateway> ring = _ring;
        Gateway first = ring.Members[0];
        int count = 0;
        foreach (byte[] path in _paths) count += ReferenceEquals(ring.Find(MurmurHash3.Hash32(path)), first) ? 1 : 0;
        return count;
    }
}
