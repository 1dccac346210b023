using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using DynamicSharding.Server;

namespace DynamicSharding.Benchmarks;

/// <summary>The cost of the duration histogram for a push that is alone in its batch: one clock reading and one observation.</summary>
public class DurationObservation
{
    private readonly LoopCounters _counters = new();
    private long _began = Stopwatch.GetTimestamp();

    [Benchmark]
    public long Observe()
    {
        long now = Stopwatch.GetTimestamp();
        _counters.ObserveBatch(now - _began, 1);
        _began = now;
        return now;
    }
}
