using BenchmarkDotNet.Attributes;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Benchmarks;

/// <summary>From a path to the hash of its group, for the forms that clients send.</summary>
public class GroupingKeys
{
    private readonly GroupingKey _key = new(ShardingKey.Group, 8192);
    private readonly byte[][] _plain = Inputs.Paths("/metrics/job/########/env/####/instance/########:9100");
    private readonly byte[][] _unsorted = Inputs.Paths("/metrics/job/########/instance/########:9100/env/####");
    private readonly byte[][] _base64 = Inputs.Paths("/metrics/job@base64/########/env/####/instance@base64/################");
    private readonly byte[][] _escaped = Inputs.Paths("/metrics/job/########%20/env/%C3%A9###/instance/########%3A9100");

    [Benchmark(Baseline = true, OperationsPerInvoke = Inputs.PathCount)]
    public uint BareHashOfPlainSorted()
    {
        uint sum = 0;
        foreach (byte[] path in _plain) sum += MurmurHash3.Hash32(path);
        return sum;
    }

    [Benchmark(OperationsPerInvoke = Inputs.PathCount)]
    public uint PlainSorted() => ComputeAll(_plain);

    [Benchmark(OperationsPerInvoke = Inputs.PathCount)]
    public uint Unsorted() => ComputeAll(_unsorted);

    [Benchmark(OperationsPerInvoke = Inputs.PathCount)]
    public uint Base64() => ComputeAll(_base64);

    [Benchmark(OperationsPerInvoke = Inputs.PathCount)]
    public uint PercentEncoded() => ComputeAll(_escaped);

    private uint ComputeAll(byte[][] paths)
    {
        uint sum = 0;
        foreach (byte[] path in paths)
        {
            _key.Compute(path, out _);
            sum += _key.Hash;
        }

        return sum;
    }
}
