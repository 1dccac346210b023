namespace DynamicSharding.Config;

internal sealed record ShutdownOptions
{
    public TimeSpan DrainDelay { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);
}
