using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Walks the tree along the schema: known keys become options, everything else becomes an error.</summary>
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
        foreach (YamlEntry entry in mapping.Entries) ReadEntry(section, entry);
    }

    private void ReadEntry(string section, YamlEntry entry)
    {
        string name = entry.Key.Text;
        string path = ConfigKeys.Join(section, name);
        if (ConfigKeys.NamesIn(section)!.Contains(name))
        {
            if (!entry.Value.IsNull) ReadKnown(path, entry.Value);
        }
        else
        {
            problems.Error(entry.Key, problems.ShowsMoreErrors ? UnknownKeyMessage.Describe(section, name) : "");
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
/// The sentence for a key that does not exist: nearly always a slip, so it names the key that was probably meant. What was written is repeated
/// only where it reads like a known key: in a file that is indented wrongly, a password may stand where a key belongs.
/// </summary>
internal static class UnknownKeyMessage
{
    public static string Describe(string section, string name)
    {
        if (IsKnown(ConfigKeys.Join(section, name)))
        {
            return $"{Written(section, name)}; nest the names, one per line and indented, instead of joining them with dots";
        }

        return Suggest(section, name) is { } meant
            ? $"{Written(section, name)}; did you mean {meant}?"
            : $"{(section.Length == 0 ? "" : section + ": ")}this is not a known key; known here: {string.Join(", ", ConfigKeys.NamesIn(section)!)}";
    }

    private static string Written(string section, string name) => $"{ConfigText.Quote(ConfigKeys.Join(section, name))} is not a known key";

    /// <summary>With its dots: a key or a section, but not in one piece.</summary>
    private static bool IsKnown(string path) => ConfigKeys.Find(path) is not null || ConfigKeys.NamesIn(path) is not null;

    private static string? Suggest(string section, string name)
    {
        string? near = Nearest(ConfigKeys.NamesIn(section)!, name);
        if (near is not null) return ConfigKeys.Join(section, near);

        // A right name at the wrong place: too deep, not deep enough, or below the neighbour.
        ConfigKey[] elsewhere = [.. ConfigKeys.All.Where(key => key.Path.AsSpan(key.Path.LastIndexOf('.') + 1).SequenceEqual(name))];
        return elsewhere.Length is 0 or > 3 ? null : string.Join(" or ", elsewhere.Select(key => key.Path));
    }

    private static string? Nearest(IReadOnlyList<string> names, string name)
    {
        // A third of the name may be wrong: "prot" for "port", not any short word for any other.
        int limit = Math.Max(1, name.Length / 3);
        (string Name, int Distance)[] near = [.. names.Select(n => (n, Distance(n, name))).Where(n => n.Item2 <= limit).OrderBy(n => n.Item2)];
        return near.Length == 0 ? null : near[0].Name;
    }

    /// <summary>Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).</summary>
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
