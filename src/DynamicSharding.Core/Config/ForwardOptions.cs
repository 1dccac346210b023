namespace DynamicSharding.Config;

internal sealed record ForwardOptions
{
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    public int MaxInFlight { get; init; } = 256;

    public long MaxBodyBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>Whether a gateway is told the client's address.</summary>
    public bool XForwardedFor { get; init; }
}
