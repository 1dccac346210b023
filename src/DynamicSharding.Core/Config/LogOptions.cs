namespace DynamicSharding.Config;

internal sealed record LogOptions
{
    public LogLevelName Level { get; init; } = LogLevelName.Info;

    public LogFormat Format { get; init; } = LogFormat.Logfmt;
}
