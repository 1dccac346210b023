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
