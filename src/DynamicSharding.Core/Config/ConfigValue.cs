using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>A kind of value: how it is read from the file, when two of them are the same, and how an operator is shown one.</summary>
internal sealed class ConfigValue<T>(ConfigValue<T>.Reader read, Func<T, T, bool>? same = null, Func<T, string>? show = null)
{
    private readonly Func<T, T, bool> _same = same ?? EqualityComparer<T>.Default.Equals;
    private readonly Func<T, string> _show = show ?? DisplayValue.Text;

    /// <summary>False when the value is wrong; then it has told the site why.</summary>
    internal delegate bool Reader(ConfigLocation site, out T value);

    public bool TryRead(ConfigLocation site, out T value) => read(site, out value);

    public bool Same(T a, T b) => _same(a, b);

    /// <summary>As the file would spell it; a secret only says that it is one.</summary>
    public string Show(T value) => _show(value);
}

/// <summary>Reads a value from its text. Returns what is wrong with it ("must be ..."), or null when nothing is.</summary>
internal delegate string? TextParser<T>(string text, out T value);

/// <summary>One value in the file while it is read: what was written, for which key, and where complaints go.</summary>
/// <param name="Directory">Of the file: relative paths in it start there, as in Prometheus.</param>
internal readonly record struct ConfigLocation(string Key, YamlNode Node, string Directory, ConfigProblems Problems)
{
    /// <returns>False, so that a reader can end with it.</returns>
    public bool Fail(string message)
    {
        Problems.Error(Node, $"{Key}: {message}");
        return false;
    }

    /// <summary>The same key, but at one of the node's parts.</summary>
    public ConfigLocation At(YamlNode part) => this with { Node = part };
}

/// <summary>Values of the configuration in force as an operator may see them.</summary>
internal static class DisplayValue
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
