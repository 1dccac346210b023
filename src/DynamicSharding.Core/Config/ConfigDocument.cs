using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>The file as a tree that is queried by key: what was written, and where. Problems with a key are reported at its place.</summary>
internal sealed class ConfigDocument(YamlMapping root, ConfigProblems problems)
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

    /// <summary>Like <see cref="Has"/>, but false for an empty text, which leaves an optional key unset.</summary>
    public bool HasValue(string path) => Find(path) is not (null or YamlScalar { Text: "" });

    /// <returns>The key's value, or the innermost section around it that is in the file.</returns>
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

    public void ErrorIf(bool isWrong, string key, string message)
    {
        if (isWrong) problems.Error(Nearest(key), $"{key}: {message}");
    }

    public void WarnIf(bool isRisky, string key, string message)
    {
        if (isRisky) problems.Warning(Nearest(key), $"{key}: {message}");
    }

    /// <summary>About what the file does not say.</summary>
    public void WarnAboutDefaultIf(bool isRisky, string key, string message)
    {
        if (isRisky) problems.Warning($"{key}: {message}");
    }

    /// <summary>About a part of the key's value.</summary>
    public void Warn(YamlNode part, string key, string message) => problems.Warning(part, $"{key}: {message}");
}
