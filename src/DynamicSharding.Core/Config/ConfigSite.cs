using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>One value in the file while it is read: what was written, for which key, and where complaints go.</summary>
/// <param name="Directory">Of the file: relative paths in it start there, as in Prometheus.</param>
internal readonly record struct ConfigSite(string Key, YamlNode Node, string Directory, ConfigProblems Problems)
{
    /// <returns>False, so that a reader can end with it.</returns>
    public bool Fail(string message)
    {
        Problems.Error(Node, $"{Key}: {message}");
        return false;
    }

    /// <summary>The same key, but at one of the node's parts.</summary>
    public ConfigSite At(YamlNode part) => this with { Node = part };
}
