using System.Collections.Immutable;

namespace DynamicSharding.Config;

/// <summary>How Consul is reached: from the file, else from Consul's own environment variables, else the defaults here.</summary>
internal sealed record ConsulOptions
{
    /// <summary><c>host:port</c>, <c>http(s)://host:port[/prefix]</c> or <c>unix:///path</c>, as given.</summary>
    public string Addr { get; init; } = "localhost:8500";
    public string? Username { get; init; }
    public string? Password { get; init; }
    public string? Token { get; init; }

    /// <summary>Takes precedence over <see cref="Token"/>; read again when it changes.</summary>
    public string? TokenFile { get; init; }
    public string? Datacenter { get; init; }
    public string? Namespace { get; init; }
    public string? Partition { get; init; }
    public ConsulConsistency Consistency { get; init; } = ConsulConsistency.Stale;
    public ConsulTlsOptions Tls { get; init; } = new();
    public string RegisterServiceName { get; init; } = "pushgateway";
}

internal sealed record ConsulTlsOptions
{
    /// <summary>CONSUL_HTTP_SSL: https for an address without a scheme.</summary>
    public bool Enabled { get; init; }
    public string? CaFile { get; init; }

    /// <summary>CONSUL_CAPATH: a directory of PEM files.</summary>
    public string? CaPath { get; init; }
    public string? CertFile { get; init; }
    public string? KeyFile { get; init; }
    public string? ServerName { get; init; }
    public bool InsecureSkipVerify { get; init; }
}

internal enum ConsulConsistency
{
    Stale,
    Default,
    Consistent,
}

/// <summary>The configured gateways, and how any gateway is reached.</summary>
internal sealed record PushgatewayOptions
{
    private static readonly ImmutableSortedDictionary<string, int> NoWeights = ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal);

    /// <summary><c>host:port</c> in the file's order, without duplicates, spelled as <c>sharding.key</c> requires.</summary>
    public ImmutableArray<string> Servers { get; init; } = [];

    /// <summary>By address: the weights that the file writes. They take precedence over those of discovery.</summary>
    public ImmutableSortedDictionary<string, int> ServerWeights { get; init; } = NoWeights;

    /// <summary>The same as the file spells and repeats them, with ports: the members of a ring with <c>sharding.key: path</c>.</summary>
    public ImmutableArray<ServerEntry> ServersAsWritten { get; init; } = [];

    /// <summary>For servers without a port of their own.</summary>
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

    /// <summary>With Consul, tcp by default if the gateways need credentials or a private CA.</summary>
    public HealthCheckType Type { get; init; } = HealthCheckType.Http;
    public TimeSpan? DeregisterCriticalAfter { get; init; }
}

internal enum HealthCheckType
{
    Http,
    Tcp,
}
