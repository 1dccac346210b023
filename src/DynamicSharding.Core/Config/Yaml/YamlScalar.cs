namespace DynamicSharding.Config.Yaml;

/// <param name="Quoted">Quoted or a block: then it is text, whatever it looks like.</param>
internal sealed record YamlScalar(int Line, int Column, string Text, bool Quoted) : YamlNode(Line, Column)
{
    /// <summary>The spellings of YAML 1.2's core schema (10.3.2).</summary>
    public override bool IsNull => !Quoted && Text is ("" or "~" or "null" or "Null" or "NULL");
}
