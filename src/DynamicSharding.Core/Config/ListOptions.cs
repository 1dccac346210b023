using System.Collections.Immutable;

namespace DynamicSharding.Config;

/// <summary>Gateways from DNS.</summary>
internal sealed record DnsOptions
{
    public ImmutableArray<string> Names { get; init; } = [];
    public DnsRecordType Type { get; init; } = DnsRecordType.Srv;

    /// <summary>Of the gateways behind A and AAAA records; null for <c>pushgateway.port</c>.</summary>
    public int? Port { get; init; }

    /// <summary>Null for the records' TTL, between a second and half a minute.</summary>
    public TimeSpan? RefreshInterval { get; init; }

    /// <summary>Address, or address and port. Empty for those of the system.</summary>
    public ImmutableArray<string> Resolvers { get; init; } = [];
}

/// <summary>The names are those of the record types, in upper case.</summary>
internal enum DnsRecordType
{
    Srv,
    A,
    Aaaa,
}

/// <summary>Gateways from files in the format of Prometheus' file_sd_configs.</summary>
internal sealed record FileSdOptions
{
    /// <summary>Absolute paths; the last part may be a pattern.</summary>
    public ImmutableArray<string> Files { get; init; } = [];
}

/// <summary>Gateways from a server in the format of Prometheus' http_sd_configs.</summary>
internal sealed record HttpSdOptions
{
    public string? Url { get; init; }

    /// <summary>As Prometheus' own.</summary>
    public TimeSpan RefreshInterval { get; init; } = TimeSpan.FromMinutes(1);
    public string? BasicAuthUsername { get; init; }
    public string? BasicAuthPasswordFile { get; init; }
    public GatewayTlsOptions Tls { get; init; } = new();
}
