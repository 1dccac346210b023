using System.Collections.Immutable;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>What depends on more than one key: derived defaults, and combinations that cannot work or have no effect.</summary>
internal sealed class ConfigValidator(ConfigDocument document, ConfigProblems problems)
{
    /// <summary>Consul raises anything shorter to this.</summary>
    private static readonly TimeSpan ConsulDeregisterFloor = TimeSpan.FromMinutes(1);

    /// <summary>Each step doubles the time: cost 10 takes about 50 ms, this about a second.</summary>
    private const int SlowBcryptCost = 14;

    /// <summary>Beyond this, clients give up before the check ends.</summary>
    private const int HopelessBcryptCost = 18;

    /// <summary>Defaults that follow from other keys.</summary>
    public ServerOptions Derive(ServerOptions options)
    {
        PushgatewayOptions gateways = options.Pushgateway;
        if (!document.Has("discovery"))
        {
            options = options with { Discovery = document.Has("consul_server") ? DiscoveryKind.Consul : DiscoveryKind.Static };
            if (document.Root.Find("consul_server") is { Value.IsNull: true } nothing)
            {
                document.Warn(
                    nothing.Key,
                    "consul_server",
                    "is empty, so that Consul is not used; write consul_server: {} for Consul at its default address, or remove the line");
            }
        }

        // A Consul check cannot carry a CA or a client certificate, and the agent would store a credential in one. Our own probes can.
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
        new ListValidator(document, problems).Check(options);
        CheckListeners(options);
        CheckConsul(options.Consul);
        CheckGateways(options.Pushgateway);
        CheckHealth(options.Pushgateway.HealthCheck);
        CheckAdmin(options);
        CheckDataTls(options);
        document.ErrorIf(
            options is { Cleanup.Enabled: true, Sharding.Key: ShardingKey.Path },
            "cleanup.enabled",
            "cannot be true with sharding.key: path, where a group's owner depends on how its client spells it; turn it off, or write sharding.key: group");
        document.ErrorIf(
            !options.Cleanup.Enabled && !options.Cleanup.Expire.IsEmpty,
            "cleanup.expire",
            "needs cleanup.enabled, without which nothing expires; write cleanup.enabled: true, or remove the rules");
        CheckProxies(options);
    }

    /// <summary>Without it, whoever connects could claim any address.</summary>
    private void CheckProxies(ServerOptions options)
    {
        bool isOn = options.ProxyProtocol != ProxyProtocol.Off;
        document.ErrorIf(
            isOn && document.Find("trusted_proxies") is (null or YamlSequence { Items.Count: 0 }),
            "proxy_protocol",
            "needs trusted_proxies, the addresses of the proxies that send it: trusted_proxies: [10.0.0.5, 10.1.0.0/24]");
        document.WarnIf(!isOn && !options.TrustedProxies.IsEmpty, "trusted_proxies", "has no effect without proxy_protocol");
        document.WarnIf(
            isOn && options.TrustedProxies.Any(TrustedNetworks.IsEverybody),
            "trusted_proxies",
            "whoever reaches a data listener can claim to be any client; list the addresses of the proxies");
    }

    private PushgatewayOptions CompleteServers(PushgatewayOptions gateways, ShardingKey key)
    {
        if (document.Find("pushgateway.servers") is not YamlSequence written || written.Items.Count != gateways.Servers.Length) return gateways;

        // By identity: two spellings of one gateway would be two members that share a process, unless they are meant to be.
        var first = new Dictionary<string, string>(StringComparer.Ordinal);
        var servers = ImmutableArray.CreateBuilder<ServerEntry>();
        var spelled = ImmutableArray.CreateBuilder<ServerEntry>();
        var weights = new Dictionary<string, int?>(StringComparer.Ordinal);
        foreach ((string server, YamlNode node) in gateways.Servers.Zip(written.Items))
        {
            int? weight = ServerEntry.Of(node).Weight;
            string address = HostText.Identity(server, gateways.Port, key);
            string complete = HostText.Complete(server, gateways.Port);
            spelled.Add(new ServerEntry(complete, weight));
            if (first.TryAdd(address, server))
            {
                servers.Add(new ServerEntry(address, weight));
                weights.Add(address, weight);
                continue;
            }

            if ((weights[address] ?? 1) != (weight ?? 1))
            {
                problems.Error(node, $"pushgateway.servers: {server} is listed twice with different weights; remove one");
                continue;
            }

            string message = HostText.Complete(first[address], gateways.Port) == complete
                ? $"{complete} is listed twice and counts once; remove one"
                : $"{server} is the same gateway as {first[address]}, and counts once; remove one";
            document.Warn(node, "pushgateway.servers", message);
        }

        return ServerEntry.Set(gateways, servers.ToImmutable()) with { ServersAsWritten = spelled.ToImmutable() };
    }

    private void CheckServers(ServerOptions options)
    {
        ImmutableArray<string> servers = options.Pushgateway.Servers;
        long weight = servers.Sum(server => (long)options.Pushgateway.ServerWeights.GetValueOrDefault(server, 1));
        string together = weight == servers.Length ? "" : $" of weight {weight} together";
        document.ErrorIf(
            weight * options.Sharding.Replicas > ShardingOptions.MaxPoints,
            "sharding.replicas",
            $"with {servers.Length} servers{together} the ring has more than {ShardingOptions.MaxPoints} points; lower it, or list fewer servers");
        document.ErrorIf(weight == 0 && !servers.IsEmpty, "pushgateway.servers", "every server has weight 0, so that none gets a push; give one of them a weight of 1 or more");

        // A list with a bad server has its own error.
        if (!servers.IsEmpty || document.Find("pushgateway.servers") is not (null or YamlSequence { Items.Count: 0 })) return;
        document.ErrorIf(
            options.Discovery == DiscoveryKind.Static,
            "pushgateway.servers",
            "must name at least one server, since discovery is static; add one, or a consul_server section");
        document.ErrorIf(
            options.Discovery != DiscoveryKind.Static && options.Membership.Allow == AllowedGateways.Configured,
            "membership.allow",
            "configured allows no gateway, since pushgateway.servers is empty; list the gateways there, or CIDRs and host patterns here");
    }

    private void CheckListeners(ServerOptions options)
    {
        (string Key, ListenAddress? Address)[] listeners = options.Listeners;
        for (int i = 1; i < listeners.Length; i++)
        {
            foreach ((string other, ListenAddress? taken) in listeners.AsSpan(0, i))
            {
                (string key, ListenAddress? address) = listeners[i];
                if (address is null || taken is null || !address.Overlaps(taken)) continue;

                // Point at a key that was written, even if it is the other of the two that moved onto a default.
                problems.Error(
                    document.Nearest(document.Has(key) ? key : other),
                    $"{key}: {address} is taken by {other} ({taken}); give each listener a port of its own");

                // Three listeners on one port are two errors, not three.
                break;
            }
        }
    }

    private void CheckDataTls(ServerOptions options)
    {
        bool isOn = options.HttpsListenAddr is not null || options.ForwardHttpsListenAddr is not null;
        string listener = options.HttpsListenAddr is not null ? "https_listen_addr" : "forward_https_listen_addr";
        CheckKeyPair("tls", options.Tls.CertFile, options.Tls.KeyFile);
        CheckAuthority("tls.client_ca_file", options.Tls.ClientCaFile);
        document.ErrorIf(isOn && !document.HasValue("tls.cert_file"), listener, "needs a certificate; set tls.cert_file and tls.key_file");
        document.WarnIf(!isOn && options.Tls != new DataTlsOptions(), "tls", "has no effect without https_listen_addr or forward_https_listen_addr");
        document.ErrorIf(
            options.HttpListenAddr is null && options.HttpsListenAddr is null && !options.Forwards,
            "http_listen_addr",
            "must not be empty when there is no other listener for pushes; write ':9292', or set https_listen_addr");
        CheckHashes("basic_auth_users", options.BasicAuthUsers);
    }

    private void CheckConsul(ConsulOptions consul)
    {
        if (consul.Username is null) CheckTogether("consul_server.password", consul.Password, "consul_server.username");
        document.WarnIf(
            document.Has("consul_server.token") && consul is { Token: not null, TokenFile: not null },
            "consul_server.token",
            "is not used, since consul_server.token_file takes precedence; remove one");

        // Values from the environment were checked where they were read.
        ConsulTlsOptions tls = consul.Tls;
        if (document.Has("consul_server.tls.ca_file")) CheckAuthority("consul_server.tls.ca_file", tls.CaFile);
        if (document.Has("consul_server.tls.cert_file") || document.Has("consul_server.tls.key_file"))
        {
            CheckKeyPair("consul_server.tls", tls.CertFile, tls.KeyFile);
        }
    }

    private void CheckGateways(PushgatewayOptions gateways)
    {
        CheckAuthority("pushgateway.tls.ca_file", gateways.Tls.CaFile);
        CheckKeyPair("pushgateway.tls", gateways.Tls.CertFile, gateways.Tls.KeyFile);
        CheckTogether("pushgateway.basic_auth.username", gateways.BasicAuthUsername, "pushgateway.basic_auth.password_file");
        CheckTogether("pushgateway.basic_auth.password_file", gateways.BasicAuthPasswordFile, "pushgateway.basic_auth.username");
        document.WarnIf(
            gateways.Scheme == "http" && gateways.Tls != new GatewayTlsOptions(),
            "pushgateway.tls",
            "has no effect while pushgateway.scheme is http; set it to https");
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

        document.WarnIf(
            health.DeregisterCriticalAfter < ConsulDeregisterFloor,
            "pushgateway.health_check.deregister_critical_after",
            "Consul accepts nothing shorter than 1m and will wait 1m; write 1m or more");
    }

    private void CheckAdmin(ServerOptions options)
    {
        AdminOptions admin = options.Admin;
        CheckKeyPair("admin.tls", admin.TlsCertFile, admin.TlsKeyFile);
        document.WarnIf(
            !admin.BasicAuthUsers.IsEmpty && admin.TlsCertFile is null && options.AdminListenAddr is { IsLoopback: false },
            "admin.basic_auth_users",
            "passwords are sent unencrypted; set admin.tls, or bind admin_listen_addr to 127.0.0.1");
        CheckHashes("admin.basic_auth_users", admin.BasicAuthUsers);
    }

    private void CheckHashes(string key, ImmutableSortedDictionary<string, string> hashes)
    {
        foreach ((string user, string hash) in hashes)
        {
            if (BcryptText.Cost(hash) <= SlowBcryptCost) continue;
            bool hopeless = BcryptText.Cost(hash) > HopelessBcryptCost;
            string message = $"{key}: this hash takes {(hopeless ? "minutes to days" : "seconds")} to check; make one of cost 10: htpasswd -nBC 10 ''";
            YamlNode users = document.Nearest(key);
            YamlNode place = (users as YamlMapping)?.Find(user)?.Value ?? users;
            if (hopeless) problems.Error(place, message);
            else problems.Warning(place, message);
        }
    }

    private void CheckAuthority(string key, string? file)
    {
        if (file is not null && PemFiles.BadAuthority(file) is { } why) document.ErrorIf(true, key, why);
    }

    private void CheckKeyPair(string section, string? cert, string? key)
    {
        string certKey = section + ".cert_file", keyKey = section + ".key_file";
        CheckTogether(certKey, cert, keyKey);
        CheckTogether(keyKey, key, certKey);
        if (cert is not null && key is not null && PemFiles.BadPair(cert, key) is { } why) document.ErrorIf(true, certKey, why);
    }

    /// <summary>A wrong value of the other key has its own error.</summary>
    private void CheckTogether(string key, string? value, string other) => document.ErrorIf(
        value is not null && !document.HasValue(other), key, $"is set without {other}; set both or neither");
}
