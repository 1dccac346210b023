using System.Globalization;

namespace DynamicSharding.Consul;

/// <summary>Durations in the one spelling that an agent accepts.</summary>
internal static class GoDuration
{
    /// <summary>Whole seconds as <c>5s</c>, everything else in milliseconds, never less than one.</summary>
    public static string Format(TimeSpan duration)
    {
        long ms = Math.Max(1, (long)duration.TotalMilliseconds);
        return ms % 1000 == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{ms / 1000}s")
            : string.Create(CultureInfo.InvariantCulture, $"{ms}ms");
    }
}
