using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>
/// A histogram of durations that were counted elsewhere, bucket by bucket. The library's takes observations only. Observing a bucket's new
/// durations at their mean puts them all into the right bucket, because the mean lies between its bounds, and makes the sum exact.
/// </summary>
internal sealed class BucketHistogram
{
    private readonly Histogram _histogram;
    private readonly double[] _bounds;
    private readonly double _ticksPerSecond;
    private readonly long[] _counts;
    private readonly double[] _seconds;

    /// <param name="factory">Where it is shown.</param>
    /// <param name="name">The metric.</param>
    /// <param name="help">What it says.</param>
    /// <param name="bounds">Upper bounds in seconds; one more bucket is above the last.</param>
    /// <param name="ticksPerSecond">The unit of the times that <see cref="Update"/> is given.</param>
    public BucketHistogram(MetricFactory factory, string name, string help, IEnumerable<double> bounds, long ticksPerSecond)
    {
        _bounds = [.. bounds];
        _histogram = factory.CreateHistogram(name, help, new HistogramConfiguration { Buckets = _bounds });
        _ticksPerSecond = ticksPerSecond;
        _counts = new long[_bounds.Length + 1];
        _seconds = new double[_bounds.Length + 1];
    }

    /// <param name="duration">Of a bucket: how many fell into it since the start, and how long they took together.</param>
    public void Update(Func<int, (long Count, long Ticks)> duration)
    {
        for (int bucket = 0; bucket <= _bounds.Length; bucket++)
        {
            (long count, long ticks) = duration(bucket);
            long fresh = count - _counts[bucket];
            if (fresh == 0) continue;
            double lower = bucket == 0 ? 0 : Math.BitIncrement(_bounds[bucket - 1]);
            double upper = bucket < _bounds.Length ? _bounds[bucket] : double.PositiveInfinity;

            // Time that was read without its count, or a last digit, may push the mean over a bound; what is cut off counts next time.
            double mean = Math.Clamp(((ticks / _ticksPerSecond) - _seconds[bucket]) / fresh, lower, upper);
            _histogram.Observe(mean, fresh);
            _counts[bucket] = count;
            _seconds[bucket] += mean * fresh;
        }
    }
}
