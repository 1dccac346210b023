using System.Collections.Immutable;

namespace DynamicSharding.Config;

/// <summary>Everything an operator can set, validated and with defaults filled in. Immutable: a reload makes a new one.</summary>
internal sealed record ServerOptions
{
    public ListenAddress HttpListenAddr { get; init; } = new(null, 9292);

    /// <summary>Null when <c>admin_listen_addr: ""</c> turned the listener off.</summary>
    public ListenAddress? AdminListenAddr { get; init; } = new(null, 9293);

    /// <summary>Null when off, which is the default.</summary>
    public ListenAddress? ForwardListenAddr { get; init; }

    public bool ReusePort { get; init; }

    public DiscoveryKind Discovery { get; init; }

    public ConsulOptions Consul { get; init; } = new();

    public PushgatewayOptions Pushgateway { get; init; } = new();

    public ShardingOptions Sharding { get; init; } = new();

    public MembershipOptions Membership { get; init; } = new();

    public LimitOptions Limits { get; init; } = new();

    public ShutdownOptions Shutdown { get; init; } = new();

    public ForwardOptions Forward { get; init; } = new();

    public AdminOptions Admin { get; init; } = new();

    public LogOptions Log { get; init; } = new();
}

internal enum DiscoveryKind
{
    Static,
    Consul,
}

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

internal enum ConsulConsistency
{
    Stale,
    Default,
    Consistent,
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

internal sealed record PushgatewayOptions
{
    /// <summary>The configured gateways as <c>host:port</c>, in the file's order, without duplicates.</summary>
    public ImmutableArray<string> Servers { get; init; } = [];

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

    /// <summary>Resolved: tcp by default when the gateways want credentials or a private CA, else http.</summary>
    public HealthCheckType Type { get; init; } = HealthCheckType.Http;

    public TimeSpan? DeregisterCriticalAfter { get; init; }
}

internal enum HealthCheckType
{
    Http,
    Tcp,
}

internal sealed record ShardingOptions
{
    public ShardingKey Key { get; init; } = ShardingKey.Group;

    /// <summary>Points per gateway on the ring.</summary>
    public int Replicas { get; init; } = 500;
}

internal enum ShardingKey
{
    Group,
    Path,
}

internal sealed record MembershipOptions
{
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan AdmitAfter { get; init; } = TimeSpan.FromSeconds(5);

    public double MassLossRatio { get; init; } = 0.5;

    public TimeSpan MassLossHold { get; init; } = TimeSpan.FromSeconds(15);
}

internal sealed record LimitOptions
{
    /// <summary>Null = the process's descriptor limit minus 256, resolved when the server starts.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>Bytes of the request line without its CRLF.</summary>
    public int RequestLine { get; init; } = 8192;

    public int HeaderFields { get; init; } = 100;

    /// <summary>Bytes of all field lines with their CRLFs.</summary>
    public int HeaderBytes { get; init; } = 32 * 1024;

    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(75);

    public long BodySkipBytes { get; init; } = 1024 * 1024;

    /// <summary>Bytes per second, judged after five seconds of a body.</summary>
    public int BodyMinRate { get; init; } = 240;

    public TimeSpan LingerTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(10);
}

internal sealed record ShutdownOptions
{
    public TimeSpan DrainDelay { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);
}

internal sealed record ForwardOptions
{
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    public int MaxInFlight { get; init; } = 256;

    public long MaxBodyBytes { get; init; } = 64L * 1024 * 1024;
}

internal sealed record AdminOptions
{
    /// <summary>User name to bcrypt hash.</summary>
    public ImmutableSortedDictionary<string, string> BasicAuthUsers { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    public string? TlsCertFile { get; init; }

    public string? TlsKeyFile { get; init; }
}

internal sealed record LogOptions
{
    public LogLevelName Level { get; init; } = LogLevelName.Info;

    public LogFormat Format { get; init; } = LogFormat.Logfmt;
}

internal enum LogLevelName
{
    Debug,
    Info,
    Warn,
    Error,
}

internal enum LogFormat
{
    Logfmt,
    Json,
}
