using System.Globalization;
using DynamicSharding.Config.Values;

namespace DynamicSharding.LoadTests.Model;

/// <summary>A requirement on a scenario; the run fails without it: <c>p99.9 &lt; 50ms</c>, <c>errors == 0</c>.</summary>
internal sealed class Threshold
{
    private const string Forms =
        "write 'METRIC OPERATOR VALUE': a latency (p50 to p99.999, mean, max; also disturbed.p99, undisturbed.p99) against a duration, " +
        "or errors, error_ratio, rate, disturbance.p99.9 against a number; the operators are <, <=, >, >=, ==";

    private readonly Func<ScenarioStats, double> _metric;
    private readonly string _operator;
    private readonly double _limit;

    private Threshold(string text, Func<ScenarioStats, double> metric, string @operator, double limit, bool isLatency)
    {
        Text = text;
        _metric = metric;
        _operator = @operator;
        _limit = limit;
        IsLatency = isLatency;
    }

    public string Text { get; }

    /// <summary><see cref="Actual"/> is in nanoseconds.</summary>
    public bool IsLatency { get; }

    public double Actual(ScenarioStats stats) => _metric(stats);

    public bool Holds(ScenarioStats stats)
    {
        double actual = Actual(stats);
        return _operator switch
        {
            "<" => actual < _limit,
            "<=" => actual <= _limit,
            ">" => actual > _limit,
            ">=" => actual >= _limit,
            _ => actual == _limit,
        };
    }

    /// <returns>What is wrong, or null.</returns>
    public static string? Parse(string text, out Threshold? threshold)
    {
        threshold = null;
        if (text.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var name, "<" or "<=" or ">" or ">=" or "==", var value] parts)
        {
            return $"is no threshold; {Forms}";
        }

        if (Metric(name) is not { } metric) return $"names no metric that is measured; {Forms}";
        double limit;
        if (metric.IsLatency)
        {
            if (!DurationText.TryParse(value, out TimeSpan duration)) return "compares a latency with what is no duration such as 50ms";
            limit = duration.TotalNanoseconds;
        }
        else if (!double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out limit))
        {
            return "compares a number with something that is none";
        }

        threshold = new Threshold(text, metric.Read, parts[1], limit, metric.IsLatency);
        return null;
    }

    private static (Func<ScenarioStats, double> Read, bool IsLatency)? Metric(string name)
    {
        switch (name)
        {
            case "errors": return (static stats => stats.Errors, false);
            case "error_ratio": return (static stats => stats.ErrorRatio, false);
            case "rate": return (static stats => stats.Rate, false);
        }

        int dot = name.IndexOf('.');
        string part = dot < 0 ? "" : name[..dot];
        string rest = part is "disturbed" or "undisturbed" or "disturbance" ? name[(dot + 1)..] : name;
        if (Latency(rest) is not { } read) return null;
        return part switch
        {
            "disturbed" => (stats => read(stats.Disturbed), true),
            "undisturbed" => (stats => read(stats.Undisturbed), true),
            "disturbance" => (stats => read(stats.Disturbed) / Math.Max(1, read(stats.Undisturbed)), false),
            _ => (stats => read(stats.Latency), true),
        };
    }

    private static Func<LatencyHistogram, double>? Latency(string name)
    {
        if (name == "mean") return static histogram => histogram.Mean;
        if (name == "max") return static histogram => histogram.Max;
        if (!name.StartsWith('p')) return null;
        bool number = double.TryParse(name.AsSpan(1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double percentile);
        return number && percentile is > 0 and <= 100 ? histogram => histogram.Percentile(percentile) : null;
    }
}
