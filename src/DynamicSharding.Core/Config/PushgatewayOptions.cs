using System.Collections.Immutable;

namespace DynamicSharding.Config;

internal sealed record PushgatewayOptions
{
    /// <summary>The configured gateways as <c>host:port</c>, in the file's order, without duplicates; spelled as <c>sharding.key</c> says.</summary>
    public ImmutableArray<string> Servers { get; init; } = [];

    /// <summary>The same with ports, as the file spells them and as often: what <c>sharding.key: path</c> puts on its ring, whichever is configured.</summary>
    public ImmutableArray<string> ServersAsWritten { get; init; } = [];

    /// <summary>For servers that name no port of their own.</summary>
    public int Port { get; init; } = 9091;

    /// <summary><c>http</c> or <c>https</c>.</summary>
    public string Scheme { get; init; } = "http";

    /// <summary>Empty, or <c>/prefix</c> without a trailing slash.</summary>
    public string PathPrefix { get; init; } = "";

    public string? BasicAuthUsername { get; init; }

    public string? BasicAuthPasswordFile { get; init; }

    public GatewayTlsOptions Tls { get; init; } = new();

    public HealthCheckOptions HealthCheck { get; init; } = new();
}

internal sealed record GatewayTlsOptions
{
    public string? CaFile { get; init; }

    public string? CertFile { get; init; }

    public string? KeyFile { get; init; }

    public string? ServerName { get; init; }
}

internal sealed record HealthCheckOptions
{
    public bool Enabled { get; init; } = true;

    public string Path { get; init; } = "/-/healthy";

    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(2);

    public int FailuresBeforeCritical { get; init; } = 2;

    public int SuccessBeforePassing { get; init; } = 1;

    public bool OverloadIsHealthy { get; init; } = true;

    /// <summary>Resolved: tcp by default with Consul when the gateways want credentials or have a private CA, else http.</summary>
    public HealthCheckType Type { get; init; } = HealthCheckType.Http;

    public TimeSpan? DeregisterCriticalAfter { get; init; }
}

internal enum HealthCheckType
{
    Http,
    Tcp,
}
