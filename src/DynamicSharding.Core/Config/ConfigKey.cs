namespace DynamicSharding.Config;

/// <summary>One key of the file: its name, when a change of it applies, and how its value travels in and out of the options.</summary>
internal abstract class ConfigKey(string path, Applies applies)
{
    /// <summary>From the root, with dots: <c>membership.settle</c>.</summary>
    public string Path { get; } = path;

    public bool Reloadable { get; } = applies == Applies.OnReload;

    /// <returns>The options with the value of <paramref name="site"/>; unchanged when it is wrong, which the site then knows.</returns>
    public abstract ServerOptions Read(ConfigSite site, ServerOptions options);

    /// <summary>Its value for operators' eyes: secrets are hidden.</summary>
    public abstract string Show(ServerOptions options);

    public abstract bool SameIn(ServerOptions a, ServerOptions b);

    /// <returns><paramref name="to"/> with this key's value of <paramref name="from"/>.</returns>
    public abstract ServerOptions Copy(ServerOptions from, ServerOptions to);
}

/// <summary>When a changed value takes effect.</summary>
internal enum Applies
{
    OnRestart,
    OnReload,
}
