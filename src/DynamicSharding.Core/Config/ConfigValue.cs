namespace DynamicSharding.Config;

/// <summary>A kind of value: how it is read from the file, when two of them are the same, and how an operator is shown one.</summary>
internal sealed class ConfigValue<T>(ConfigValue<T>.Reader read, Func<T, T, bool>? same = null, Func<T, string>? show = null)
{
    private readonly Func<T, T, bool> _same = same ?? EqualityComparer<T>.Default.Equals;
    private readonly Func<T, string> _show = show ?? ShownValue.Text;

    /// <summary>False when the value is wrong; then it has told the site why.</summary>
    internal delegate bool Reader(ConfigSite site, out T value);

    public bool TryRead(ConfigSite site, out T value) => read(site, out value);

    public bool Same(T a, T b) => _same(a, b);

    /// <summary>As the file would spell it; a secret only says that it is one.</summary>
    public string Show(T value) => _show(value);
}
