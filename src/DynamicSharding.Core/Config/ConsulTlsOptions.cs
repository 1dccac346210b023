namespace DynamicSharding.Config;

internal sealed record ConsulTlsOptions
{
    /// <summary>True when CONSUL_HTTP_SSL asks for https on an address without a scheme.</summary>
    public bool Enabled { get; init; }

    public string? CaFile { get; init; }

    /// <summary>A folder of PEM files, from CONSUL_CAPATH.</summary>
    public string? CaPath { get; init; }

    public string? CertFile { get; init; }

    public string? KeyFile { get; init; }

    public string? ServerName { get; init; }

    public bool InsecureSkipVerify { get; init; }
}
