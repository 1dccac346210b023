using System.Globalization;

namespace DynamicSharding.Config.Values;

/// <summary>Sizes in bytes, or with the binary units <c>KiB</c>, <c>MiB</c>, <c>GiB</c>.</summary>
internal static class SizeText
{
    private static readonly (string Unit, long Bytes)[] Units = [("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30)];

    public static bool TryParse(string text, out long value)
    {
        long factor = 1;
        ReadOnlySpan<char> digits = text;
        foreach ((string unit, long bytes) in Units)
        {
            if (!text.EndsWith(unit, StringComparison.Ordinal)) continue;
            digits = digits[..^unit.Length];
            factor = bytes;
        }

        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value) || value > long.MaxValue / factor)
        {
            return false;
        }

        value *= factor;
        return true;
    }

    public static string Format(long value)
    {
        string unit = "";
        foreach ((string name, long bytes) in Units)
        {
            if (value < bytes || value % bytes != 0) break;
            unit = name;
        }

        long shown = unit.Length == 0 ? value : value / Array.Find(Units, u => u.Unit == unit).Bytes;
        return shown.ToString(CultureInfo.InvariantCulture) + unit;
    }
}
