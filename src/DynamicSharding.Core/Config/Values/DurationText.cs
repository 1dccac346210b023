using System.Globalization;

namespace DynamicSharding.Config.Values;

/// <summary>Durations as Prometheus writes them: units from large to small, each at most once (<c>1h30m</c>), or a bare <c>0</c>.</summary>
internal static class DurationText
{
    private const long MaxMilliseconds = long.MaxValue / TimeSpan.TicksPerMillisecond;

    // A year of 365 days and a week of 7, as prometheus/common/model defines them.
    private static readonly (string Unit, long Milliseconds)[] Units =
    [
        ("y", 365L * 86_400_000), ("w", 7L * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ];

    /// <param name="value">What is longer than any TimeSpan is the longest, so that an error can name the bounds.</param>
    public static bool TryParse(string text, out TimeSpan value)
    {
        value = TimeSpan.Zero;
        if (text == "0") return true;
        if (text.Length == 0) return false;

        long total = 0;
        bool isTooLong = false;
        int next = 0;
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits <= 0) return false;
            bool fits = long.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out long number);
            rest = rest[digits..];
            int unitLength = rest.IndexOfAnyInRange('0', '9');
            ReadOnlySpan<char> unit = unitLength < 0 ? rest : rest[..unitLength];
            int index = next;
            while (index < Units.Length && !unit.SequenceEqual(Units[index].Unit)) index++;
            if (index == Units.Length) return false;
            next = index + 1;
            rest = rest[unit.Length..];
            isTooLong |= !fits || number > MaxMilliseconds / Units[index].Milliseconds;
            if (!isTooLong) total += number * Units[index].Milliseconds;
        }

        value = isTooLong || total > MaxMilliseconds ? TimeSpan.MaxValue : TimeSpan.FromMilliseconds(total);
        return true;
    }

    /// <summary>The shortest spelling, to the millisecond.</summary>
    public static string Format(TimeSpan value)
    {
        long rest = (long)value.TotalMilliseconds;
        if (rest == 0) return "0s";
        string sign = rest < 0 ? "-" : "";
        rest = Math.Abs(rest);
        var parts = new List<string>();
        // From days down: weeks and years are harder to read.
        foreach ((string unit, long milliseconds) in Units.AsSpan(2))
        {
            if (rest < milliseconds) continue;
            parts.Add((rest / milliseconds).ToString(CultureInfo.InvariantCulture) + unit);
            rest %= milliseconds;
        }

        return sign + string.Concat(parts);
    }
}
