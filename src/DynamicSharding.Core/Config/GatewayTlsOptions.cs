namespace DynamicSharding.Config;

internal sealed record GatewayTlsOptions
{
    public string? CaFile { get; init; }

    public string? CertFile { get; init; }

    public string? KeyFile { get; init; }

    public string? ServerName { get; init; }
}
