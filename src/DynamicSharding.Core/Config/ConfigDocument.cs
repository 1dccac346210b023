using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>The file as a tree, asked by key: what was written, and where.</summary>
internal sealed class ConfigDocument(YamlMapping root)
{
    public YamlMapping Root { get; } = root;

    /// <returns>What was written for the key; null when it is absent or null.</returns>
    public YamlNode? Find(string path)
    {
        YamlNode? node = Root;
        foreach (string name in path.Split('.')) node = (node as YamlMapping)?.Find(name)?.Value;
        return node is { IsNull: false } ? node : null;
    }

    public bool Has(string path) => Find(path) is not null;

    /// <returns>The key's value, or the nearest thing around it that is in the file: where a message about it points.</returns>
    public YamlNode Nearest(string path)
    {
        while (true)
        {
            if (Find(path) is { } node) return node;
            int dot = path.LastIndexOf('.');
            if (dot < 0) return Root;
            path = path[..dot];
        }
    }
}
