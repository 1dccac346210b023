namespace DynamicSharding.Config;

/// <inheritdoc cref="ConfigKey"/>
internal sealed class ConfigKey<T>(
    string path,
    Applies applies,
    ConfigValue<T> value,
    Func<ServerOptions, T> get,
    Func<ServerOptions, T, ServerOptions> set) : ConfigKey(path, applies)
{
    public override ServerOptions Read(ConfigSite site, ServerOptions options) =>
        value.TryRead(site, out T result) ? set(options, result) : options;

    public override string Show(ServerOptions options) => value.Show(get(options));

    public override bool SameIn(ServerOptions a, ServerOptions b) => value.Same(get(a), get(b));

    public override ServerOptions Copy(ServerOptions from, ServerOptions to) => set(to, get(from));
}
