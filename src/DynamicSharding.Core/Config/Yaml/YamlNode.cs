namespace DynamicSharding.Config.Yaml;

/// <summary>One value of the file and where it begins (both from 1).</summary>
internal abstract record YamlNode(int Line, int Column)
{
    /// <summary>Nothing was written, or <c>null</c>: the key keeps its default.</summary>
    public virtual bool IsNull => false;
}
