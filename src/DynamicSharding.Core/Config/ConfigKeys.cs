using System.Collections.Immutable;
using static DynamicSharding.Config.Applies;
using static DynamicSharding.Config.ConfigValues;

namespace DynamicSharding.Config;

/// <summary>
/// The schema: every key with its kind of value and when a change takes effect. The option records have the defaults;
/// <see cref="ConfigValidator"/> checks what depends on more than one key.
/// </summary>
internal static partial class ConfigKeys
{
    private const int MaxConnections = 10_000_000;

    private static readonly ConfigSection<ServerOptions> Root = new("", options => options, (_, options) => options);

    public static ImmutableArray<ConfigKey> All { get; } =
        [.. ServerKeys(), .. ConsulKeys(), .. ListKeys(), .. PushgatewayKeys(), .. RingKeys(), .. CleanupKeys(), .. LimitKeys(), .. OutwardKeys()];

    private static readonly Dictionary<string, ConfigKey> ByPath = All.ToDictionary(key => key.Path, StringComparer.Ordinal);

    /// <summary>The names in each mapping, in the order of <see cref="All"/>; <c>""</c> is the file itself.</summary>
    private static readonly Dictionary<string, List<string>> Sections = FindSections();

    private static readonly HashSet<string> Names = [.. All.SelectMany(key => key.Path.Split('.'))];

    public static ConfigKey? Find(string path) => ByPath.GetValueOrDefault(path);

    /// <returns>Null when there is no such mapping.</returns>
    public static IReadOnlyList<string>? NamesIn(string section) => Sections.GetValueOrDefault(section);

    /// <summary>True for a name anywhere in the schema: messages may repeat it.</summary>
    public static bool IsName(string name) => Names.Contains(name);

    private static IEnumerable<ConfigKey> ServerKeys()
    {
        yield return Root.Key("http_listen_addr", OnRestart, OptionalListen, o => o.HttpListenAddr, (o, v) => o with { HttpListenAddr = v });
        yield return Root.Key("https_listen_addr", OnRestart, OptionalListen, o => o.HttpsListenAddr, (o, v) => o with { HttpsListenAddr = v });
        yield return Root.Key(
            "admin_listen_addr", OnRestart, OptionalListen, o => o.AdminListenAddr, (o, v) => o with { AdminListenAddr = v });
        yield return Root.Key(
            "forward_listen_addr", OnRestart, OptionalListen, o => o.ForwardListenAddr, (o, v) => o with { ForwardListenAddr = v });
        yield return Root.Key(
            "forward_https_listen_addr", OnRestart, OptionalListen, o => o.ForwardHttpsListenAddr, (o, v) => o with { ForwardHttpsListenAddr = v });
        yield return Root.Key("http_path_prefix", OnRestart, PathPrefix, o => o.HttpPathPrefix, (o, v) => o with { HttpPathPrefix = v });
        yield return Root.Key(
            "proxy_protocol",
            OnRestart,
            OneOf(("off", ProxyProtocol.Off), ("v1", ProxyProtocol.V1), ("v2", ProxyProtocol.V2), ("any", ProxyProtocol.Any)),
            o => o.ProxyProtocol,
            (o, v) => o with { ProxyProtocol = v });
        yield return Root.Key("trusted_proxies", OnRestart, Proxies, o => o.TrustedProxies, (o, v) => o with { TrustedProxies = v });
        yield return Root.Key("basic_auth_users", OnReload, Users, o => o.BasicAuthUsers, (o, v) => o with { BasicAuthUsers = v });
        ConfigSection<DataTlsOptions> tls = Root.Section("tls", o => o.Tls, (o, v) => o with { Tls = v });
        yield return tls.Key("cert_file", OnRestart, ExistingFile, t => t.CertFile, (t, v) => t with { CertFile = v });
        yield return tls.Key("key_file", OnRestart, ExistingFile, t => t.KeyFile, (t, v) => t with { KeyFile = v });
        yield return tls.Key("client_ca_file", OnRestart, ExistingFile, t => t.ClientCaFile, (t, v) => t with { ClientCaFile = v });
        yield return tls.Key(
            "min_version", OnRestart, OneOf(("TLS12", TlsVersion.Tls12), ("TLS13", TlsVersion.Tls13)), t => t.MinVersion, (t, v) => t with { MinVersion = v });
        yield return Root.Key("reuse_port", OnRestart, Bool, o => o.ReusePort, (o, v) => o with { ReusePort = v });
        yield return Root.Key(
            "discovery",
            OnRestart,
            OneOf(DiscoveryKindNames.All),
            o => o.Discovery,
            (o, v) => o with { Discovery = v });
    }

    private static IEnumerable<ConfigKey> RingKeys()
    {
        ConfigSection<ShardingOptions> sharding = Root.Section("sharding", o => o.Sharding, (o, v) => o with { Sharding = v });
        yield return sharding.Key("key", OnRestart, OneOf(ShardingKeyNames.All), s => s.Key, (s, v) => s with { Key = v });
        yield return sharding.Key("replicas", OnRestart, Int(1, 100_000), s => s.Replicas, (s, v) => s with { Replicas = v });
        yield return sharding.Key("consul_weights", OnRestart, Bool, s => s.ConsulWeights, (s, v) => s with { ConsulWeights = v });
        yield return sharding.Key("weight_label", OnRestart, OptionalLabel, s => s.WeightLabel, (s, v) => s with { WeightLabel = v });

        ConfigSection<MembershipOptions> membership = Root.Section("membership", o => o.Membership, (o, v) => o with { Membership = v });
        yield return membership.Key("allow", OnReload, Allow, m => m.Allow, (m, v) => m with { Allow = v });
        yield return membership.Key("settle", OnReload, DurationOrZero, m => m.Settle, (m, v) => m with { Settle = v });
        yield return membership.Key("admit_after", OnReload, DurationOrZero, m => m.AdmitAfter, (m, v) => m with { AdmitAfter = v });
        yield return membership.Key("mass_loss_ratio", OnReload, Ratio, m => m.MassLossRatio, (m, v) => m with { MassLossRatio = v });
        yield return membership.Key("mass_loss_hold", OnReload, DurationOrZero, m => m.MassLossHold, (m, v) => m with { MassLossHold = v });
    }

    private static IEnumerable<ConfigKey> CleanupKeys()
    {
        ConfigSection<CleanupOptions> cleanup = Root.Section("cleanup", o => o.Cleanup, (o, v) => o with { Cleanup = v });
        yield return cleanup.Key("enabled", OnReload, Bool, c => c.Enabled, (c, v) => c with { Enabled = v });
        yield return cleanup.Key("dry_run", OnReload, Bool, c => c.DryRun, (c, v) => c with { DryRun = v });
        yield return cleanup.Key("interval", OnReload, RefreshInterval, c => c.Interval, (c, v) => c with { Interval = v });
        yield return cleanup.Key("settle", OnReload, RefreshInterval, c => c.Settle, (c, v) => c with { Settle = v });
        yield return cleanup.Key("margin", OnReload, DurationOrZero, c => c.Margin, (c, v) => c with { Margin = v });
        yield return cleanup.Key("exclude", OnReload, CleanupValues.Matchers, c => c.Exclude, (c, v) => c with { Exclude = v });
        yield return cleanup.Key("expire", OnReload, CleanupValues.Rules, c => c.Expire, (c, v) => c with { Expire = v });
    }

    private static IEnumerable<ConfigKey> LimitKeys()
    {
        ConfigSection<LimitOptions> limits = Root.Section("limits", o => o.Limits, (o, v) => o with { Limits = v });
        yield return limits.Key(
            "max_connections", OnReload, OptionalInt(1, MaxConnections), l => l.MaxConnections, (l, v) => l with { MaxConnections = v });
        // RFC 9112 3 recommends at least 8000 octets. Operators may choose less, but a push path must fit.
        yield return limits.Key("request_line", OnReload, IntSize(256, 1 << 20), l => l.RequestLine, (l, v) => l with { RequestLine = v });
        yield return limits.Key("header_fields", OnReload, Int(8, 10_000), l => l.HeaderFields, (l, v) => l with { HeaderFields = v });
        yield return limits.Key("header_bytes", OnReload, IntSize(512, 16 << 20), l => l.HeaderBytes, (l, v) => l with { HeaderBytes = v });
        yield return limits.Key("header_timeout", OnReload, Duration, l => l.HeaderTimeout, (l, v) => l with { HeaderTimeout = v });
        yield return limits.Key("idle_timeout", OnReload, Duration, l => l.IdleTimeout, (l, v) => l with { IdleTimeout = v });
        yield return limits.Key(
            "body_skip_bytes", OnReload, Size(0, 1L << 40), l => l.BodySkipBytes, (l, v) => l with { BodySkipBytes = v });
        yield return limits.Key("body_min_rate", OnReload, IntSize(0, 1 << 30), l => l.BodyMinRate, (l, v) => l with { BodyMinRate = v });
        yield return limits.Key("linger_timeout", OnReload, DurationOrZero, l => l.LingerTimeout, (l, v) => l with { LingerTimeout = v });
        yield return limits.Key("write_timeout", OnReload, Duration, l => l.WriteTimeout, (l, v) => l with { WriteTimeout = v });

        ConfigSection<ShutdownOptions> shutdown = Root.Section("shutdown", o => o.Shutdown, (o, v) => o with { Shutdown = v });
        yield return shutdown.Key("drain_delay", OnReload, DurationOrZero, s => s.DrainDelay, (s, v) => s with { DrainDelay = v });
        yield return shutdown.Key("timeout", OnReload, DurationOrZero, s => s.Timeout, (s, v) => s with { Timeout = v });
    }

    private static IEnumerable<ConfigKey> OutwardKeys()
    {
        ConfigSection<ForwardOptions> forward = Root.Section("forward", o => o.Forward, (o, v) => o with { Forward = v });
        yield return forward.Key("timeout", OnReload, Duration, f => f.Timeout, (f, v) => f with { Timeout = v });
        yield return forward.Key("max_in_flight", OnReload, Int(1, 1_000_000), f => f.MaxInFlight, (f, v) => f with { MaxInFlight = v });
        yield return forward.Key("max_body_bytes", OnReload, Size(1, 1L << 40), f => f.MaxBodyBytes, (f, v) => f with { MaxBodyBytes = v });
        yield return forward.Key("x_forwarded_for", OnReload, Bool, f => f.XForwardedFor, (f, v) => f with { XForwardedFor = v });

        ConfigSection<AdminOptions> admin = Root.Section("admin", o => o.Admin, (o, v) => o with { Admin = v });
        yield return admin.Key("basic_auth_users", OnRestart, Users, a => a.BasicAuthUsers, (a, v) => a with { BasicAuthUsers = v });
        yield return admin.Key("tls.cert_file", OnRestart, ExistingFile, a => a.TlsCertFile, (a, v) => a with { TlsCertFile = v });
        yield return admin.Key("tls.key_file", OnRestart, ExistingFile, a => a.TlsKeyFile, (a, v) => a with { TlsKeyFile = v });
        yield return admin.Key("enable_lifecycle", OnReload, Bool, a => a.EnableLifecycle, (a, v) => a with { EnableLifecycle = v });
        yield return admin.Key("allowed_hosts", OnReload, AllowedHostNames, a => a.AllowedHosts, (a, v) => a with { AllowedHosts = v });

        ConfigSection<LogOptions> log = Root.Section("log", o => o.Log, (o, v) => o with { Log = v });
        yield return log.Key("level", OnReload, OneOf(LogNames.Levels), l => l.Level, (l, v) => l with { Level = v });
        yield return log.Key("rejected_sample", OnReload, Int(0, 1000), l => l.RejectedSample, (l, v) => l with { RejectedSample = v });
        yield return log.Key("format", OnRestart, OneOf(LogNames.Formats), l => l.Format, (l, v) => l with { Format = v });
    }

    private static Dictionary<string, List<string>> FindSections()
    {
        var sections = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (ConfigKey key in All)
        {
            string section = "";
            foreach (string name in key.Path.Split('.'))
            {
                if (!sections.TryGetValue(section, out List<string>? names)) sections.Add(section, names = []);
                if (!names.Contains(name)) names.Add(name);
                section = Join(section, name);
            }
        }

        return sections;
    }

    public static string Join(string section, string name) => section.Length == 0 ? name : section + "." + name;
}
