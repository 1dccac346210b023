using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Config;

/// <summary>The whole configuration, validated, with defaults filled in. Immutable: a reload makes a new one.</summary>
internal sealed record ServerOptions
{
    /// <summary>Null when <c>http_listen_addr: ""</c> turned the listener off, which needs another data listener.</summary>
    public ListenAddress? HttpListenAddr { get; init; } = new(null, 9292);

    /// <summary>Null when off, which is the default.</summary>
    public ListenAddress? HttpsListenAddr { get; init; }

    /// <summary>Null when <c>admin_listen_addr: ""</c> turned the listener off.</summary>
    public ListenAddress? AdminListenAddr { get; init; } = new(null, 9293);

    /// <summary>Null when off, which is the default.</summary>
    public ListenAddress? ForwardListenAddr { get; init; }

    /// <summary>Null when off, which is the default.</summary>
    public ListenAddress? ForwardHttpsListenAddr { get; init; }

    /// <summary>With the keys that name them; null for one that is off.</summary>
    public (string Key, ListenAddress? Address)[] Listeners =>
    [
        ("http_listen_addr", HttpListenAddr), ("https_listen_addr", HttpsListenAddr), ("admin_listen_addr", AdminListenAddr),
        ("forward_listen_addr", ForwardListenAddr), ("forward_https_listen_addr", ForwardHttpsListenAddr),
    ];

    /// <summary>Pushes are forwarded on some listener.</summary>
    public bool Forwards => ForwardListenAddr is not null || ForwardHttpsListenAddr is not null;

    /// <summary>Of the data listeners.</summary>
    public DataTlsOptions Tls { get; init; } = new();

    /// <summary>Users of the data listeners: name to bcrypt hash.</summary>
    public ImmutableSortedDictionary<string, string> BasicAuthUsers { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Removed from the paths of requests; empty or <c>/prefix</c>.</summary>
    public string HttpPathPrefix { get; init; } = "";

    /// <summary>Of every data listener.</summary>
    public ProxyProtocol ProxyProtocol { get; init; }

    /// <summary>Addresses and networks; empty only without <see cref="ProxyProtocol"/>.</summary>
    public ImmutableArray<string> TrustedProxies { get; init; } = [];

    public bool ReusePort { get; init; }
    public DiscoveryKind Discovery { get; init; }
    public ConsulOptions Consul { get; init; } = new();
    public DnsOptions Dns { get; init; } = new();
    public FileSdOptions FileSd { get; init; } = new();
    public HttpSdOptions HttpSd { get; init; } = new();
    public PushgatewayOptions Pushgateway { get; init; } = new();
    public ShardingOptions Sharding { get; init; } = new();
    public MembershipOptions Membership { get; init; } = new();
    public LimitOptions Limits { get; init; } = new();
    public ShutdownOptions Shutdown { get; init; } = new();
    public ForwardOptions Forward { get; init; } = new();
    public CleanupOptions Cleanup { get; init; } = new();
    public AdminOptions Admin { get; init; } = new();
    public LogOptions Log { get; init; } = new();
}

/// <summary>Where a listener binds. <see cref="Host"/> null means every address: dual-stack, IPv4 alone where the host has no IPv6.</summary>
internal sealed record ListenAddress(IPAddress? Host, int Port)
{
    public bool IsEveryAddress => Host is null || Host.Equals(IPAddress.Any) || Host.Equals(IPAddress.IPv6Any);

    public bool IsLoopback => Host is not null && IPAddress.IsLoopback(Host);

    /// <summary>True when one cannot be bound while the other is.</summary>
    public bool Overlaps(ListenAddress other)
    {
        if (Port == 0 || Port != other.Port) return false;
        if (Host is null || other.Host is null || Host.Equals(other.Host)) return true;
        return Host.AddressFamily == other.Host.AddressFamily && (IsEveryAddress || other.IsEveryAddress);
    }

    public override string ToString() => Host is null
        ? string.Create(CultureInfo.InvariantCulture, $":{Port}")
        : new IPEndPoint(Host, Port).ToString();
}

internal enum DiscoveryKind
{
    Static,
    Consul,
    Dns,
    FileSd,
    HttpSd,
}

/// <summary>How the file, the API, the page and the commands spell where gateways come from.</summary>
internal static class DiscoveryKindNames
{
    public static readonly (string Name, DiscoveryKind Value)[] All =
    [
        ("static", DiscoveryKind.Static), ("consul", DiscoveryKind.Consul), ("dns", DiscoveryKind.Dns),
        ("file_sd", DiscoveryKind.FileSd), ("http_sd", DiscoveryKind.HttpSd),
    ];

    public static string Name(this DiscoveryKind kind) => All[(int)kind].Name;

    /// <summary>The gateways come as a whole list from outside the configuration file, and this process probes them itself.</summary>
    public static bool IsList(this DiscoveryKind kind) => kind is DiscoveryKind.Dns or DiscoveryKind.FileSd or DiscoveryKind.HttpSd;
}

internal sealed record ShardingOptions
{
    /// <summary>Points of a ring: 80 MB, twice while it is replaced, and about a second to build.</summary>
    public const int MaxPoints = 10_000_000;

    /// <summary>A gateway of weight 0 is in no ring.</summary>
    public const int MaxWeight = 100;

    public ShardingKey Key { get; init; } = ShardingKey.Group;

    /// <summary>Points per gateway on the ring.</summary>
    public int Replicas { get; init; } = 500;

    /// <summary>Consul's <c>Weights.Passing</c> of a service is the weight of a gateway for which the file writes none.</summary>
    public bool ConsulWeights { get; init; }

    /// <summary>The label of a target whose value is the gateway's weight; null for none.</summary>
    public string? WeightLabel { get; init; }
}

internal enum ShardingKey
{
    Group,
    Path,
}

/// <summary>How the file, the API and the commands spell <c>sharding.key</c>; the ring's fingerprint depends on it.</summary>
internal static class ShardingKeyNames
{
    public static readonly (string Name, ShardingKey Value)[] All = [("group", ShardingKey.Group), ("path", ShardingKey.Path)];

    public static string Name(this ShardingKey key) => All[(int)key].Name;

    /// <returns>Null for a name that is neither.</returns>
    public static ShardingKey? Find(string? name) => Array.Find(All, row => row.Name == name) is { Name: not null } row ? row.Value : null;
}

internal sealed record MembershipOptions
{
    public AllowedGateways Allow { get; init; } = AllowedGateways.Any;
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(1);
    public TimeSpan AdmitAfter { get; init; } = TimeSpan.FromSeconds(5);
    public double MassLossRatio { get; init; } = 0.5;
    public TimeSpan MassLossHold { get; init; } = TimeSpan.FromSeconds(15);
}

internal sealed record LimitOptions
{
    /// <summary>Null for what the descriptor limit allows: <see cref="DescriptorBudget"/>.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>Bytes of the request line without its CRLF.</summary>
    public int RequestLine { get; init; } = 8192;
    public int HeaderFields { get; init; } = 100;

    /// <summary>Bytes of all field lines with their CRLFs.</summary>
    public int HeaderBytes { get; init; } = 32 * 1024;
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(10);
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(75);
    public long BodySkipBytes { get; init; } = 1024 * 1024;

    /// <summary>Bytes per second, enforced after the first five seconds of a body.</summary>
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

    /// <summary>Sends the client's address to the gateway.</summary>
    public bool XForwardedFor { get; init; }
}

internal sealed record AdminOptions
{
    /// <summary>User name to bcrypt hash.</summary>
    public ImmutableSortedDictionary<string, string> BasicAuthUsers { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    public string? TlsCertFile { get; init; }
    public string? TlsKeyFile { get; init; }

    /// <summary>Without users, a reload over HTTP is for requests from this machine only.</summary>
    public bool EnableLifecycle { get; init; }

    public AllowedHosts AllowedHosts { get; init; } = AllowedHosts.Own;
}

internal sealed record DataTlsOptions
{
    public string? CertFile { get; init; }
    public string? KeyFile { get; init; }

    /// <summary>Clients must present a certificate of one of these authorities.</summary>
    public string? ClientCaFile { get; init; }
    public TlsVersion MinVersion { get; init; } = TlsVersion.Tls12;
}

internal enum TlsVersion
{
    Tls12,
    Tls13,
}

internal sealed record LogOptions
{
    public LogLevelName Level { get; init; } = LogLevelName.Info;
    public LogFormat Format { get; init; } = LogFormat.Logfmt;

    /// <summary>Lines a second about rejected requests; more are only counted.</summary>
    public int RejectedSample { get; init; } = 1;
}

internal enum LogFormat
{
    Logfmt,
    Json,
}

/// <summary>With the values of the framework's <see cref="LogLevel"/>.</summary>
internal enum LogLevelName
{
    Debug = LogLevel.Debug,
    Info = LogLevel.Information,
    Warn = LogLevel.Warning,
    Error = LogLevel.Error,
}

/// <summary>How the file, the flags and the log lines spell levels and formats.</summary>
internal static class LogNames
{
    public static readonly (string Name, LogLevelName Value)[] Levels =
        [("debug", LogLevelName.Debug), ("info", LogLevelName.Info), ("warn", LogLevelName.Warn), ("error", LogLevelName.Error)];

    public static readonly (string Name, LogFormat Value)[] Formats = [("logfmt", LogFormat.Logfmt), ("json", LogFormat.Json)];

    /// <summary>Trace is shown as debug, critical as error.</summary>
    public static string Of(LogLevel level) => Levels[Math.Clamp(level - LogLevel.Debug, 0, Levels.Length - 1)].Name;
}

internal enum ProxyProtocol
{
    Off,
    V1,
    V2,

    /// <summary>Either version.</summary>
    Any,
}
