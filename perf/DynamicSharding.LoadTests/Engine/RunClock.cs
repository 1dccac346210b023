using System.Diagnostics;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>The clock of one run: nanoseconds, zero where recording begins, negative in the warm-up.</summary>
internal sealed class RunClock(TimeSpan untilZero)
{
    private readonly long _zero = Nanoseconds() + (long)untilZero.TotalNanoseconds;

    public long Now => Nanoseconds() - _zero;

    private static long Nanoseconds() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
