namespace DynamicSharding.Config;

/// <summary>A key of the file: its path, when a change takes effect, and access to its value in the options.</summary>
internal abstract class ConfigKey(string path, Applies applies)
{
    /// <summary>From the root, with dots: <c>membership.settle</c>.</summary>
    public string Path { get; } = path;

    public bool Reloadable { get; } = applies == Applies.OnReload;

    /// <returns>The options with the value; unchanged when it is wrong, which is then reported to <paramref name="location"/>.</returns>
    public abstract ServerOptions Read(ConfigLocation location, ServerOptions options);

    /// <summary>The value for operators; secrets are hidden.</summary>
    public abstract string Show(ServerOptions options);

    public abstract bool SameIn(ServerOptions a, ServerOptions b);

    /// <returns><paramref name="to"/> with this key's value from <paramref name="from"/>.</returns>
    public abstract ServerOptions Copy(ServerOptions from, ServerOptions to);
}

/// <summary>When a changed value takes effect.</summary>
internal enum Applies
{
    OnRestart,
    OnReload,
}

/// <inheritdoc cref="ConfigKey"/>
internal sealed class ConfigKey<T>(
    string path,
    Applies applies,
    ConfigValue<T> value,
    Func<ServerOptions, T> get,
    Func<ServerOptions, T, ServerOptions> set) : ConfigKey(path, applies)
{
    public override ServerOptions Read(ConfigLocation location, ServerOptions options) =>
        value.TryRead(location, out T result) ? set(options, result) : options;

    public override string Show(ServerOptions options) => value.Show(get(options));

    public override bool SameIn(ServerOptions a, ServerOptions b) => value.Same(get(a), get(b));

    public override ServerOptions Copy(ServerOptions from, ServerOptions to) => set(to, get(from));
}

/// <summary>A mapping of the file and the record that holds its values.</summary>
internal sealed class ConfigSection<TSection>(
    string prefix,
    Func<ServerOptions, TSection> get,
    Func<ServerOptions, TSection, ServerOptions> set)
{
    public ConfigKey Key<T>(
        string name, Applies applies, ConfigValue<T> value, Func<TSection, T> getValue, Func<TSection, T, TSection> setValue) =>
        new ConfigKey<T>(
            prefix + name, applies, value, options => getValue(get(options)), (options, v) => set(options, setValue(get(options), v)));

    public ConfigSection<TInner> Section<TInner>(string name, Func<TSection, TInner> getInner, Func<TSection, TInner, TSection> setInner) =>
        new(prefix + name + ".", options => getInner(get(options)), (options, inner) => set(options, setInner(get(options), inner)));
}
