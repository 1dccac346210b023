namespace DynamicSharding.Config.Yaml;

internal sealed record YamlSequence(int Line, int Column, List<YamlNode> Items) : YamlNode(Line, Column);
