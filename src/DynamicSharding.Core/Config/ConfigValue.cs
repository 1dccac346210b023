using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>A kind of value: how to read, compare and show it.</summary>
internal sealed class ConfigValue<T>(ConfigValue<T>.Reader read, Func<T, T, bool>? same = null, Func<T, string>? show = null)
{
    private readonly Func<T, T, bool> _same = same ?? EqualityComparer<T>.Default.Equals;
    private readonly Func<T, string> _show = show ?? DisplayValue.Text;

    /// <summary>False when the value is wrong; the error is reported to the location.</summary>
    internal delegate bool Reader(ConfigLocation location, out T value);

    public bool TryRead(ConfigLocation location, out T value) => read(location, out value);

    public bool Same(T a, T b) => _same(a, b);

    /// <summary>As the file would spell it; secrets are hidden.</summary>
    public string Show(T value) => _show(value);
}

/// <summary>Parses a value. Returns what is wrong with it ("must be ..."), or null.</summary>
internal delegate string? TextParser<T>(string text, out T value);

/// <summary>A value in the file: its key, its node, and where errors go.</summary>
/// <param name="Directory">The file's: relative paths start there, as in Prometheus.</param>
internal readonly record struct ConfigLocation(string Key, YamlNode Node, string Directory, ConfigProblems Problems)
{
    /// <returns>False, the reader's result.</returns>
    public bool Fail(string message)
    {
        Problems.Error(Node, $"{Key}: {message}");
        return false;
    }

    /// <summary>The same key at a part of its value.</summary>
    public ConfigLocation At(YamlNode part) => this with { Node = part };
}

/// <summary>Configuration values as operators may see them.</summary>
internal static class DisplayValue
{
    public const string Hidden = "(hidden)";

    public static string Text<T>(T value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        TimeSpan duration => DurationText.Format(duration),
        ImmutableArray<string> list => string.Join(", ", list),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    public static string Texts(ImmutableArray<string> list) => $"[{string.Join(", ", list.Select(static text => $"\"{text}\""))}]";

    public static string Secret(string? value) => value is null ? "" : Hidden;

    public static string Users(ImmutableSortedDictionary<string, string> users) =>
        string.Join(", ", users.Keys.Select(static user => $"{user}: {Hidden}"));
}
