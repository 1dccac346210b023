namespace DynamicSharding.Config;

/// <summary>A mapping of the file and the record that holds its values; it makes the keys inside it.</summary>
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
