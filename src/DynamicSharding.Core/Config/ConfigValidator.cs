using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>What depends on more than one key: derived defaults, and combinations that cannot work or hardly mean what they say.</summary>
internal sealed class ConfigValidator(ConfigDocument document, ConfigProblems problems)
{
    /// <summary>Consul raises anything shorter to this.</summary>
    private static readonly TimeSpan ConsulDeregisterFloor = TimeSpan.FromMinutes(1);

    /// <summary>Each step doubles the time: 10 takes about 50 ms, this about a second.</summary>
    private const int SlowBcryptCost = 14;

    /// <summary>Each step doubles the work; beyond this one nobody gets in before the client gives up.</summary>
    private const int HopelessBcryptCost = 18;

    private readonly ConfigCertificates _certificates = new(document, problems);

    /// <summary>Defaults that follow from other keys.</summary>
    public ServerOptions Derive(ServerOptions options)
    {
        PushgatewayOptions gateways = options.Pushgateway;
        if (!document.Has("discovery"))
        {
            options = options with { Discovery = document.Has("consul_server") ? DiscoveryKind.Consul : DiscoveryKind.Static };
        }

        // A Consul check cannot carry a CA or a client certificate, and a credential in one would be stored by the agent. Our own probes can.
        bool needsMore = gateways.BasicAuthUsername is not null || gateways.Tls.CaFile is not null || gateways.Tls.CertFile is not null;
        if (options.Discovery == DiscoveryKind.Consul && needsMore && !document.Has("pushgateway.health_check.type"))
        {
            gateways = gateways with { HealthCheck = gateways.HealthCheck with { Type = HealthCheckType.Tcp } };
        }

        return options with { Pushgateway = CompleteServers(gateways, options.Sharding.Key) };
    }

    public void Check(ServerOptions options)
    {
        CheckServers(options);
        CheckAllowed(options);
        CheckListeners(options);
        CheckConsul(options.Consul);
        GatewayTlsOptions tls = options.Pushgateway.Tls;
        _certificates.CheckAuthorities("pushgateway.tls.ca_file", tls.CaFile);
        CheckPair("pushgateway.tls", tls.CertFile, tls.KeyFile);
        CheckPair("admin.tls", options.Admin.TlsCertFile, options.Admin.TlsKeyFile);
        CheckGateways(options.Pushgateway);
        CheckHealth(options.Pushgateway.HealthCheck);
        CheckAccess(options);
    }

    private PushgatewayOptions CompleteServers(PushgatewayOptions gateways, ShardingKey key)
    {
        if (document.Find("pushgateway.servers") is not YamlSequence written || written.Items.Count != gateways.Servers.Length) return gateways;

        // By identity: two spellings of one gateway would be two members that share a process, unless they are meant to be.
        var first = new Dictionary<string, string>(StringComparer.Ordinal);
        var servers = ImmutableArray.CreateBuilder<string>();
        var spelled = ImmutableArray.CreateBuilder<string>();
        foreach ((string server, YamlNode node) in gateways.Servers.Zip(written.Items))
        {
            string address = HostText.Identity(server, gateways.Port, key);
            string complete = HostText.Complete(server, gateways.Port);
            spelled.Add(complete);
            if (first.TryAdd(address, server))
            {
                servers.Add(address);
                continue;
            }

            problems.Warning(
                node,
                HostText.Complete(first[address], gateways.Port) == complete
                    ? $"pushgateway.servers: {complete} is listed twice and counts once; remove one"
                    : $"pushgateway.servers: {server} is the same gateway as {first[address]}, and counts once; remove one");
        }

        return gateways with { Servers = servers.ToImmutable(), ServersAsWritten = spelled.ToImmutable() };
    }

    private void CheckServers(ServerOptions options)
    {
        int servers = options.Pushgateway.Servers.Length;
        if ((long)servers * options.Sharding.Replicas > ShardingOptions.MaxPoints)
        {
            problems.Error(
                document.Nearest("sharding.replicas"),
                $"sharding.replicas: with {servers} servers the ring has more than {ShardingOptions.MaxPoints} points; lower it, or list fewer servers");
        }

        // Something that is no list of good servers was written, and has been complained about.
        bool written = document.Find("pushgateway.servers") is not (null or YamlSequence { Items.Count: 0 });
        if (options.Discovery != DiscoveryKind.Static || !options.Pushgateway.Servers.IsEmpty || written) return;
        problems.Error(
            document.Nearest("pushgateway.servers"),
            "pushgateway.servers: must name at least one server, since discovery is static; add one, or a consul_server section");
    }

    private void CheckAllowed(ServerOptions options)
    {
        // Something that is no list of good servers was written, and has been complained about.
        bool written = document.Find("pushgateway.servers") is not (null or YamlSequence { Items.Count: 0 });
        if (options.Discovery != DiscoveryKind.Consul || !options.Pushgateway.Servers.IsEmpty || written) return;
        if (options.Membership.Allow != AllowedGateways.Configured) return;
        problems.Error(
            document.Nearest("membership.allow"),
            "membership.allow: configured allows nobody, since pushgateway.servers is empty; list the gateways there, or CIDRs and host patterns here");
    }

    private void CheckListeners(ServerOptions options)
    {
        (string Key, ListenAddress? Address)[] listeners =
        [
            ("http_listen_addr", options.HttpListenAddr),
            ("admin_listen_addr", options.AdminListenAddr),
            ("forward_listen_addr", options.ForwardListenAddr),
        ];
        for (int i = 1; i < listeners.Length; i++)
        {
            for (int j = 0; j < i; j++)
            {
                if (Overlap(listeners[i].Address, listeners[j].Address)) ReportOverlap(listeners[i], listeners[j]);
            }
        }
    }

    private void ReportOverlap((string Key, ListenAddress? Address) listener, (string Key, ListenAddress? Address) other)
    {
        // Point at a key that was written, even if it is the other of the two that moved onto a default.
        problems.Error(
            document.Nearest(document.Has(listener.Key) ? listener.Key : other.Key),
            $"{listener.Key}: {listener.Address} is taken by {other.Key} ({other.Address}); give each listener a port of its own");
    }

    private void CheckConsul(ConsulOptions consul)
    {
        if (consul.Password is not null && consul.Username is null)
        {
            problems.Error(
                document.Nearest("consul_server.password"),
                "consul_server.password: is set without consul_server.username; set both or neither");
        }

        if (document.Has("consul_server.token") && consul is { Token: not null, TokenFile: not null })
        {
            problems.Warning(
                document.Nearest("consul_server.token"),
                "consul_server.token: is not used, since consul_server.token_file wins; remove one");
        }

        ConsulTlsOptions tls = consul.Tls;
        if (document.Has("consul_server.tls.ca_file")) _certificates.CheckAuthorities("consul_server.tls.ca_file", tls.CaFile);

        // What comes from the environment was judged where it was read.
        if (document.Has("consul_server.tls.cert_file") || document.Has("consul_server.tls.key_file"))
        {
            CheckPair("consul_server.tls", tls.CertFile, tls.KeyFile);
        }
    }

    private void CheckPair(string section, string? cert, string? key)
    {
        if (cert is not null && key is not null) _certificates.CheckPair(section, cert, key);
        if ((cert is null) == (key is null)) return;
        (string given, string missing) = cert is null ? ("key_file", "cert_file") : ("cert_file", "key_file");
        // A wrong value of the other was complained about already.
        if (document.Has($"{section}.{missing}")) return;
        problems.Error(document.Nearest($"{section}.{given}"), $"{section}.{given}: is set without {section}.{missing}; set both or neither");
    }

    private void CheckGateways(PushgatewayOptions gateways)
    {
        if (gateways.BasicAuthUsername is not null && !document.Has("pushgateway.basic_auth.password_file"))
        {
            problems.Error(
                document.Nearest("pushgateway.basic_auth.username"),
                "pushgateway.basic_auth.username: is set without pushgateway.basic_auth.password_file; set both or neither");
        }

        if (gateways.BasicAuthPasswordFile is not null && !document.Has("pushgateway.basic_auth.username"))
        {
            problems.Error(
                document.Nearest("pushgateway.basic_auth.password_file"),
                "pushgateway.basic_auth.password_file: is set without pushgateway.basic_auth.username; set both or neither");
        }

        if (gateways.Scheme == "http" && gateways.Tls != new GatewayTlsOptions())
        {
            problems.Warning(
                document.Nearest("pushgateway.tls"),
                "pushgateway.tls: has no effect while pushgateway.scheme is http; set it to https");
        }
    }

    private void CheckAccess(ServerOptions options)
    {
        AdminOptions admin = options.Admin;
        bool local = options.AdminListenAddr is null || (options.AdminListenAddr.Host is { } host && IPAddress.IsLoopback(host));
        if (!admin.BasicAuthUsers.IsEmpty && admin.TlsCertFile is null && !local)
        {
            problems.Warning(
                document.Nearest("admin.basic_auth_users"),
                "admin.basic_auth_users: passwords travel unencrypted; set admin.tls, or bind admin_listen_addr to 127.0.0.1");
        }

        foreach ((string user, string hash) in admin.BasicAuthUsers)
        {
            if (BcryptText.Cost(hash) <= SlowBcryptCost) continue;
            bool hopeless = BcryptText.Cost(hash) > HopelessBcryptCost;
            string message = $"admin.basic_auth_users: this hash takes {(hopeless ? "minutes to days" : "seconds")} to check; make one of cost 10: htpasswd -nBC 10 ''";
            YamlNode users = document.Nearest("admin.basic_auth_users");
            YamlNode place = (users as YamlMapping)?.Find(user)?.Value ?? users;
            if (hopeless) problems.Error(place, message);
            else problems.Warning(place, message);
        }
    }

    private void CheckHealth(HealthCheckOptions health)
    {
        if (health.Timeout > health.Interval)
        {
            string written = document.Has("pushgateway.health_check.timeout") ? "timeout" : "interval";
            problems.Warning(
                document.Nearest("pushgateway.health_check." + written),
                "pushgateway.health_check.timeout: is longer than pushgateway.health_check.interval, so that probes are late; make it shorter");
        }

        if (health.DeregisterCriticalAfter < ConsulDeregisterFloor)
        {
            problems.Warning(
                document.Nearest("pushgateway.health_check.deregister_critical_after"),
                "pushgateway.health_check.deregister_critical_after: Consul takes nothing shorter than 1m and will wait 1m; write 1m or more");
        }
    }

    /// <summary>True when the second could not be bound beside the first.</summary>
    private static bool Overlap(ListenAddress? a, ListenAddress? b)
    {
        if (a is null || b is null || a.Port == 0 || a.Port != b.Port) return false;
        if (a.Host is null || b.Host is null || a.Host.Equals(b.Host)) return true;
        if (a.Host.AddressFamily != b.Host.AddressFamily) return false;
        return IsAny(a.Host) || IsAny(b.Host);
    }

    private static bool IsAny(IPAddress host) => host.Equals(IPAddress.Any) || host.Equals(IPAddress.IPv6Any);
}
