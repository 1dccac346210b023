using System.Collections.Immutable;

namespace DynamicSharding.Config;

internal sealed record AdminOptions
{
    /// <summary>User name to bcrypt hash.</summary>
    public ImmutableSortedDictionary<string, string> BasicAuthUsers { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    public string? TlsCertFile { get; init; }

    public string? TlsKeyFile { get; init; }
}
