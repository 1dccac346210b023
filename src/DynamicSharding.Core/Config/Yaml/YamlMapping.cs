namespace DynamicSharding.Config.Yaml;

/// <summary>In the file's order, and found by name in one step: a file may hold a hundred thousand keys by mistake.</summary>
internal sealed record YamlMapping(int Line, int Column) : YamlNode(Line, Column)
{
    private readonly List<YamlEntry> _entries = [];
    private readonly Dictionary<string, YamlEntry> _byName = new(StringComparer.Ordinal);

    public IReadOnlyList<YamlEntry> Entries => _entries;

    public YamlEntry? Find(string name) => _byName.GetValueOrDefault(name);

    /// <param name="entry">With a key that <see cref="Find"/> does not know yet.</param>
    public void Add(YamlEntry entry)
    {
        _byName.Add(entry.Key.Text, entry);
        _entries.Add(entry);
    }
}
