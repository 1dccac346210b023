namespace DynamicSharding.Consul;

/// <summary>What every request of a <see cref="ConsulClient"/> has in common.</summary>
internal sealed record ConsulClientConfiguration
{
    public required Uri Address { get; init; }

    /// <summary>Asked before each request, so that a rotated token is used without a restart.</summary>
    public Func<string?> Token { get; init; } = static () => null;

    /// <summary>The value of an Authorization field for a proxy in front; sent at once, not after a 401.</summary>
    public string? Authorization { get; init; }

    public string? Datacenter { get; init; }

    /// <summary>Sent only when set: an open-source agent answers 400 to <c>ns=</c>.</summary>
    public string? Namespace { get; init; }

    public string? Partition { get; init; }
}
