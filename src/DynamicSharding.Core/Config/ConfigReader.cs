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
            problems.Error(entry.Key, problems.ShowsMoreErrors ? UnknownKey.Describe(section, name) : "");
        }
    }

    private void ReadKnown(string path, YamlNode value)
    {
        if (ConfigKeys.Find(path) is { } key)
        {
            _options = key.Read(new ConfigSite(path, value, directory, problems), _options);
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
