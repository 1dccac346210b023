using System.Globalization;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>Formats nanoseconds with three digits and a fitting unit.</summary>
internal static class LatencyText
{
    public static string Format(double nanoseconds) => nanoseconds switch
    {
        0 => "0",
        < 1e6 => Digits(nanoseconds / 1e3) + " µs",
        < 1e9 => Digits(nanoseconds / 1e6) + " ms",
        _ => Digits(nanoseconds / 1e9) + " s",
    };

    private static string Digits(double value) =>
        value.ToString(value < 9.995 ? "0.00" : value < 99.95 ? "0.0" : "0", CultureInfo.InvariantCulture);
}
