using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>The token of the moment: a reload may replace it, and a file may change under it.</summary>
internal sealed class ConsulToken(ConsulOptions options)
{
    private volatile Func<string?> _current = Choose(options);

    public string? Current() => _current();

    public void Apply(ConsulOptions options) => _current = Choose(options);

    private static Func<string?> Choose(ConsulOptions options)
    {
        if (!string.IsNullOrEmpty(options.TokenFile)) return new SecretFile(options.TokenFile, static text => ConfigText.UnsendableToken(text) is null).Current;
        string? token = options.Token;
        return () => token;
    }
}
