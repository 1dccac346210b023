using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Config;

/// <summary>Values of the configuration in force as an operator may see them.</summary>
internal static class ShownValue
{
    public const string Hidden = "(hidden)";

    /// <summary>Empty for no value.</summary>
    public static string Text<T>(T value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        TimeSpan duration => DurationText.Format(duration),
        ImmutableArray<string> list => string.Join(", ", list),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    public static string Secret(string? value) => value is null ? "" : Hidden;

    /// <summary>Who may log in, not with what.</summary>
    public static string Users(ImmutableSortedDictionary<string, string> users) =>
        string.Join(", ", users.Keys.Select(static user => $"{user}: {Hidden}"));
}
