namespace DynamicSharding.Config.Yaml;

internal sealed record YamlEntry(YamlScalar Key, YamlNode Value);
