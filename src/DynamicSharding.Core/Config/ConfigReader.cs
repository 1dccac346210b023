using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Turns known keys into options, and everything else into errors.</summary>
internal sealed class ConfigReader(string directory, ConfigProblems problems)
{
    private ServerOptions _options = new();

    public ServerOptions Read(ConfigDocument document)
    {
        ReadSection("", document.Root);
        return _options;
    }

    private void ReadSection(string section, YamlMapping mapping)
    {
        foreach ((YamlScalar key, YamlNode value) in mapping.Entries)
        {
            if (!ConfigKeys.NamesIn(section)!.Contains(key.Text))
            {
                problems.Error(key, problems.ShowsMoreErrors ? UnknownKeyMessage.Describe(section, key.Text) : "");
            }
            else if (!value.IsNull)
            {
                ReadKnown(ConfigKeys.Join(section, key.Text), value);
            }
        }
    }

    private void ReadKnown(string path, YamlNode value)
    {
        if (ConfigKeys.Find(path) is { } key)
        {
            _options = key.Read(new ConfigLocation(path, value, directory, problems), _options);
        }
        else if (value is YamlMapping mapping)
        {
            ReadSection(path, mapping);
        }
        else
        {
            problems.Error(value, $"{path}: must be a mapping with the keys {string.Join(", ", ConfigKeys.NamesIn(path)!)}");
        }
    }
}

/// <summary>
/// The message for an unknown key, with the key that was probably meant. The name is repeated only if it resembles a known key: with wrong
/// indentation, it may be a password.
/// </summary>
internal static class UnknownKeyMessage
{
    public static string Describe(string section, string name)
    {
        string path = ConfigKeys.Join(section, name);
        if (ConfigKeys.Find(path) is not null || ConfigKeys.NamesIn(path) is not null)
        {
            return $"{Written(section, name)}; nest the names, one per line and indented, instead of joining them with dots";
        }

        return Suggest(section, name) is { } meant
            ? $"{Written(section, name)}; did you mean {meant}?"
            : $"{(section.Length == 0 ? "" : section + ": ")}this is not a known key; known here: {string.Join(", ", ConfigKeys.NamesIn(section)!)}";
    }

    private static string Written(string section, string name) => $"{ConfigText.Quote(ConfigKeys.Join(section, name))} is not a known key";

    private static string? Suggest(string section, string name)
    {
        // A secret here is in a file, even if a secret of this name is written out elsewhere.
        IReadOnlyList<string> names = ConfigKeys.NamesIn(section)!;
        string? near = names.Contains(name + "_file") ? name + "_file" : Nearest(names, name);
        if (near is not null) return ConfigKeys.Join(section, near);

        // A known name at another place.
        ConfigKey[] elsewhere = [.. ConfigKeys.All.Where(key => key.Path.AsSpan(key.Path.LastIndexOf('.') + 1).SequenceEqual(name))];
        return elsewhere.Length is 0 or > 3 ? null : string.Join(" or ", elsewhere.Select(key => key.Path));
    }

    private static string? Nearest(IReadOnlyList<string> names, string name)
    {
        // A third of the name may differ: "prot" for "port", but not one short word for another.
        string? nearest = names.MinBy(known => Distance(known, name));
        return nearest is not null && Distance(nearest, name) <= Math.Max(1, name.Length / 3) ? nearest : null;
    }

    /// <summary>Insertions, deletions, replacements and swaps of adjacent characters (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        if (b.Length > 2 * a.Length) return b.Length;
        var rows = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) rows[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) rows[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = a[i - 1] == b[j - 1] ? 0 : 1;
                int best = Math.Min(Math.Min(rows[i - 1, j] + 1, rows[i, j - 1] + 1), rows[i - 1, j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = Math.Min(best, rows[i - 2, j - 2] + 1);
                rows[i, j] = best;
            }
        }

        return rows[a.Length, b.Length];
    }
}
