namespace DynamicSharding.Config.Yaml;

internal sealed record YamlMapping(int Line, int Column, List<YamlEntry> Entries) : YamlNode(Line, Column)
{
    public YamlEntry? Find(string name) => Entries.Find(entry => entry.Key.Text == name);
}
