using HdrHistogram;

namespace DynamicSharding.LoadTests.Model;

/// <summary>Latencies in nanoseconds, kept to a microsecond and to three digits up to two minutes.</summary>
internal sealed class LatencyHistogram
{
    private const long Lowest = 1_000;
    private const long Highest = 120_000_000_000;

    private readonly HistogramBase _histogram;

    private LatencyHistogram(int digits) => _histogram = new LongHistogram(Lowest, Highest, digits);

    public long Count => _histogram.TotalCount;

    public double Mean => Count == 0 ? 0 : _histogram.GetMean();

    public long Max => Count == 0 ? 0 : _histogram.GetMaxValue();

    public static LatencyHistogram Precise() => new(3);

    /// <summary>Two digits, 20 KiB: for each second of a run.</summary>
    public static LatencyHistogram Coarse() => new(2);

    public void Record(long nanoseconds) => _histogram.RecordValue(Math.Clamp(nanoseconds, 0, Highest));

    public void Add(LatencyHistogram other) => _histogram.Add(other._histogram);

    /// <param name="percentile">From 0 to 100.</param>
    public long Percentile(double percentile) => Count == 0 ? 0 : _histogram.GetValueAtPercentile(percentile);
}
