using System.Globalization;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>The percentiles that every report shows.</summary>
internal static class Percentiles
{
    public static readonly double[] Shown = [50, 90, 99, 99.9];

    public static string Name(double percentile) => "p" + percentile.ToString(CultureInfo.InvariantCulture);
}
