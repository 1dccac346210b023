using System.Diagnostics;
using System.Numerics;

namespace DynamicSharding.Diagnostics;

/// <summary>
/// Bounds of the request duration histogram: 5 µs, doubling to 1.3 s, then everything above. A factor of two makes finding the bucket
/// one division and one count of leading zeros, and the error of a quantile at most one doubling.
/// </summary>
internal static class DurationBuckets
{
    private const int FirstBoundMicroseconds = 5;

    /// <summary>Bounds without the infinite one.</summary>
    public const int BoundCount = 19;

    /// <summary>With the one above the last bound.</summary>
    public const int Count = BoundCount + 1;

    private static readonly long FirstBoundTicks = Stopwatch.Frequency / (1_000_000 / FirstBoundMicroseconds);

    /// <summary>Upper bound in seconds. A whole number of microseconds divided once, so that it prints short.</summary>
    public static double Bound(int bucket) =>
        bucket < BoundCount ? ((long)FirstBoundMicroseconds << bucket) / 1e6 : double.PositiveInfinity;

    /// <summary>The bucket whose upper bound is the first not below the duration: inclusive, as Prometheus' <c>le</c> is.</summary>
    public static int IndexOf(long stopwatchTicks)
    {
        if (stopwatchTicks <= FirstBoundTicks) return 0;
        return Math.Min(BitOperations.Log2((ulong)((stopwatchTicks - 1) / FirstBoundTicks)) + 1, BoundCount);
    }
}
