namespace DynamicSharding.Config;

/// <summary>How Consul is reached. Values that the file leaves out come from Consul's own environment variables, then from the defaults here.</summary>
internal sealed record ConsulOptions
{
    /// <summary><c>host:port</c>, <c>http(s)://host:port[/prefix]</c> or <c>unix:///path</c>, as given.</summary>
    public string Addr { get; init; } = "localhost:8500";

    public string? Username { get; init; }

    public string? Password { get; init; }

    public string? Token { get; init; }

    /// <summary>Wins over <see cref="Token"/>; re-read when it changes.</summary>
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

internal enum ConsulConsistency
{
    Stale,
    Default,
    Consistent,
}
