using static DynamicSharding.Config.Applies;
using static DynamicSharding.Config.ConfigValues;

namespace DynamicSharding.Config;

/// <summary>Discovery, and how gateways are reached.</summary>
internal static partial class ConfigKeys
{
    private static IEnumerable<ConfigKey> ConsulKeys()
    {
        ConfigSection<ConsulOptions> consul = Root.Section("consul_server", o => o.Consul, (o, v) => o with { Consul = v });
        yield return consul.Key("addr", OnRestart, ConsulAddress, c => c.Addr, (c, v) => c with { Addr = v });
        yield return consul.Key("username", OnRestart, UserName, c => c.Username, (c, v) => c with { Username = v });
        yield return consul.Key("password", OnRestart, Secret, c => c.Password, (c, v) => c with { Password = v });
        yield return consul.Key("token", OnReload, Token, c => c.Token, (c, v) => c with { Token = v });
        yield return consul.Key("token_file", OnReload, TokenFile, c => c.TokenFile, (c, v) => c with { TokenFile = v });
        yield return consul.Key("datacenter", OnRestart, OptionalName, c => c.Datacenter, (c, v) => c with { Datacenter = v });
        yield return consul.Key(
            "consistency",
            OnRestart,
            OneOf(
                ("stale", ConsulConsistency.Stale), ("default", ConsulConsistency.Default), ("consistent", ConsulConsistency.Consistent)),
            c => c.Consistency,
            (c, v) => c with { Consistency = v });

        ConfigSection<ConsulTlsOptions> tls = consul.Section("tls", c => c.Tls, (c, v) => c with { Tls = v });
        yield return tls.Key("ca_file", OnRestart, ExistingFile, t => t.CaFile, (t, v) => t with { CaFile = v });
        yield return tls.Key("cert_file", OnRestart, ExistingFile, t => t.CertFile, (t, v) => t with { CertFile = v });
        yield return tls.Key("key_file", OnRestart, ExistingFile, t => t.KeyFile, (t, v) => t with { KeyFile = v });
        yield return tls.Key("server_name", OnRestart, OptionalHost, t => t.ServerName, (t, v) => t with { ServerName = v });
        yield return tls.Key(
            "insecure_skip_verify", OnRestart, Bool, t => t.InsecureSkipVerify, (t, v) => t with { InsecureSkipVerify = v });

        yield return consul.Key(
            "register_service_name", OnRestart, Name, c => c.RegisterServiceName, (c, v) => c with { RegisterServiceName = v });
    }

    private static IEnumerable<ConfigKey> PushgatewayKeys()
    {
        ConfigSection<PushgatewayOptions> gateways = Root.Section("pushgateway", o => o.Pushgateway, (o, v) => o with { Pushgateway = v });
        yield return gateways.Key("servers", OnReload, Servers, ServerEntry.ListOf, ServerEntry.Set);
        yield return gateways.Key("port", OnReload, Int(1, 65535), p => p.Port, (p, v) => p with { Port = v });
        yield return gateways.Key(
            "scheme", OnRestart, OneOf(("http", "http"), ("https", "https")), p => p.Scheme, (p, v) => p with { Scheme = v });
        yield return gateways.Key("path_prefix", OnRestart, PathPrefix, p => p.PathPrefix, (p, v) => p with { PathPrefix = v });
        yield return gateways.Key(
            "basic_auth.username", OnRestart, UserName, p => p.BasicAuthUsername, (p, v) => p with { BasicAuthUsername = v });
        yield return gateways.Key(
            "basic_auth.password_file", OnRestart, ExistingFile, p => p.BasicAuthPasswordFile, (p, v) => p with { BasicAuthPasswordFile = v });

        foreach (ConfigKey key in ClientTlsKeys(gateways.Section("tls", p => p.Tls, (p, v) => p with { Tls = v }))) yield return key;

        ConfigSection<HealthCheckOptions> health = gateways.Section("health_check", p => p.HealthCheck, (p, v) => p with { HealthCheck = v });
        yield return health.Key("enabled", OnReload, Bool, h => h.Enabled, (h, v) => h with { Enabled = v });
        yield return health.Key("path", OnReload, UrlPath, h => h.Path, (h, v) => h with { Path = v });
        yield return health.Key("interval", OnReload, Duration, h => h.Interval, (h, v) => h with { Interval = v });
        yield return health.Key("timeout", OnReload, Duration, h => h.Timeout, (h, v) => h with { Timeout = v });
        yield return health.Key(
            "failures_before_critical",
            OnReload,
            Int(1, 1000),
            h => h.FailuresBeforeCritical,
            (h, v) => h with { FailuresBeforeCritical = v });
        yield return health.Key(
            "success_before_passing", OnReload, Int(1, 1000), h => h.SuccessBeforePassing, (h, v) => h with { SuccessBeforePassing = v });
        yield return health.Key(
            "overload_is_healthy", OnReload, Bool, h => h.OverloadIsHealthy, (h, v) => h with { OverloadIsHealthy = v });
        yield return health.Key(
            "type", OnReload, OneOf(("http", HealthCheckType.Http), ("tcp", HealthCheckType.Tcp)), h => h.Type, (h, v) => h with { Type = v });
        yield return health.Key(
            "deregister_critical_after", OnReload, OptionalDuration, h => h.DeregisterCriticalAfter, (h, v) => h with { DeregisterCriticalAfter = v });
    }

    /// <summary>Of a connection that this program opens.</summary>
    private static IEnumerable<ConfigKey> ClientTlsKeys(ConfigSection<GatewayTlsOptions> tls)
    {
        yield return tls.Key("ca_file", OnRestart, ExistingFile, t => t.CaFile, (t, v) => t with { CaFile = v });
        yield return tls.Key("cert_file", OnRestart, ExistingFile, t => t.CertFile, (t, v) => t with { CertFile = v });
        yield return tls.Key("key_file", OnRestart, ExistingFile, t => t.KeyFile, (t, v) => t with { KeyFile = v });
        yield return tls.Key("server_name", OnRestart, OptionalHost, t => t.ServerName, (t, v) => t with { ServerName = v });
    }
}
