using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>
/// Warns about valid values that an operator may regret: the place, the consequence, what to write instead. One default is among them: that
/// everyone who reaches the admin listener may read. A warning about a key that is not in the file is about the file as a whole.
/// </summary>
internal sealed class ConfigLint(ConfigDocument document)
{
    private const int OriginalReplicas = 500;
    private const long LargeBody = 16 << 20;

    /// <summary>A push interval or two.</summary>
    private static readonly TimeSpan LateDetection = TimeSpan.FromMinutes(1);

    public void Check(ServerOptions options)
    {
        CheckListeners(options);
        CheckServers(options);
        CheckHealth(options.Pushgateway);
        CheckMembership(options.Membership);
        CheckAllowed(options);
        CheckLimits(options.Limits);
        CheckSecret("pushgateway.basic_auth.password_file", options.Pushgateway.BasicAuthPasswordFile, EmptyPassword);
        CheckSecret("http_sd.basic_auth.password_file", options.HttpSd.BasicAuthPasswordFile, EmptyPassword);

        // One that the environment names is checked where that is read.
        CheckSecret("consul_server.token_file", document.HasValue("consul_server.token_file") ? options.Consul.TokenFile : null, EmptyToken);
        CheckShutdown(options.Shutdown);
        document.WarnIf(
            options.Consul.Tls.InsecureSkipVerify && document.Has("consul_server.tls.insecure_skip_verify"),
            "consul_server.tls.insecure_skip_verify",
            "whoever answers at this address decides where pushes go, and gets the token; set consul_server.tls.ca_file instead");
        document.WarnIf(
            options.Sharding.Replicas != OriginalReplicas,
            "sharding.replicas",
            "all instances must have the same number, or their rings differ; the Go program of this name has 500; leave it out unless all agree");
        document.WarnIf(
            options is { Sharding.ConsulWeights: true, Discovery: DiscoveryKind.Static },
            "sharding.consul_weights",
            "has no effect without Consul; write weights into pushgateway.servers: {address: a:9091, weight: 2}");
        document.WarnIf(
            options.Log.Level == LogLevelName.Debug,
            "log.level",
            "clients can cause any number of debug lines; write info, and use --log.level=debug while debugging");
    }

    private void CheckListeners(ServerOptions options)
    {
        AdminOptions admin = options.Admin;
        bool isOpen = options.AdminListenAddr is { IsEveryAddress: true } && admin.BasicAuthUsers.IsEmpty;
        bool isWritten = document.Has("admin_listen_addr");
        string open = $"whoever reaches this machine can {(admin.EnableLifecycle ? "reload and read" : "read")} the configuration, without a password; ";
        document.WarnIf(isOpen && isWritten, "admin_listen_addr", open + "write 127.0.0.1 before the port, or set admin.basic_auth_users");
        document.WarnAboutDefaultIf(
            isOpen && !isWritten,
            "admin_listen_addr",
            $"is {options.AdminListenAddr} by default, and {open}write admin_listen_addr: 127.0.0.1{options.AdminListenAddr}, or set admin.basic_auth_users");
        document.WarnIf(
            options.AdminListenAddr is not null && admin.AllowedHosts == AllowedHosts.Any && admin.BasicAuthUsers.IsEmpty,
            "admin.allowed_hosts",
            "any web page that someone opens on a machine with access can read the configuration and reload it; list the names of this server instead");
        CheckLending(options);
        bool isPlain = options.HttpListenAddr is { IsLoopback: false } || options.ForwardListenAddr is { IsLoopback: false };
        document.WarnIf(
            !options.BasicAuthUsers.IsEmpty && isPlain,
            "basic_auth_users",
            "passwords are sent unencrypted; set https_listen_addr or forward_https_listen_addr, and turn the plain listeners off or bind them to 127.0.0.1");
        document.WarnIf(
            options.Pushgateway is { BasicAuthUsername: not null, Scheme: "http" },
            "pushgateway.basic_auth.username",
            "the password is sent unencrypted with every probe; set pushgateway.scheme to https");
    }

    public static string EmptyToken(string file) => $"{ConfigText.FileName(file)} is empty: a start sends no token; write the token into it";

    /// <summary>A start sends it nevertheless, as Prometheus does. A running process keeps the last one that was not empty.</summary>
    private static string EmptyPassword(string file) => $"{ConfigText.FileName(file)} is empty: a start sends an empty password; write the password into it";

    private void CheckSecret(string key, string? file, Func<string, string> describe)
    {
        if (file is not null && ConfigFiles.IsEmptySecret(file)) document.WarnIf(true, key, describe(file));
    }

    /// <summary>Forwarding with credentials of this program's own, for clients that have shown none.</summary>
    private void CheckLending(ServerOptions options)
    {
        bool isPlain = options.ForwardListenAddr is not null;
        PushgatewayOptions gateways = options.Pushgateway;
        List<string> lent = [];
        if (gateways.BasicAuthUsername is not null) lent.Add("the credentials of pushgateway.basic_auth");
        if (gateways is { Scheme: "https", Tls.CertFile: not null }) lent.Add("the certificate of pushgateway.tls");
        document.WarnIf(
            options.Forwards && lent.Count > 0 && options.BasicAuthUsers.IsEmpty && (isPlain || options.Tls.ClientCaFile is null),
            isPlain ? "forward_listen_addr" : "forward_https_listen_addr",
            $"whoever reaches this listener pushes with {string.Join(" and ", lent)}; set basic_auth_users{(isPlain ? "" : ", or tls.client_ca_file")}");
    }

    private void CheckServers(ServerOptions options)
    {
        if (document.Find("pushgateway.servers") is not YamlSequence { Items: { Count: > 0 } items }) return;
        ImmutableArray<string> servers = options.Pushgateway.Servers;
        document.WarnIf(
            servers.Count(server => options.Pushgateway.ServerWeights.GetValueOrDefault(server, 1) > 0) == 1 && options.Discovery == DiscoveryKind.Static,
            "pushgateway.servers",
            "all pushes go to one server, and none takes over when it fails; list two or more");

        var local = new LocalAddresses();
        var spellings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (YamlScalar item in items.Select(ServerEntry.AddressOf).OfType<YamlScalar>())
        {
            int port = options.Pushgateway.Port;
            CheckReach(item, options, local);

            // The validator reports servers of one identity.
            string machine = Machine(item.Text, port);
            string identity = HostText.Identity(item.Text, port, options.Sharding.Key);
            if (spellings.TryAdd(machine, item.Text) || identity == HostText.Identity(spellings[machine], port, options.Sharding.Key)) continue;
            document.Warn(
                item, "pushgateway.servers", $"{item.Text} is the same gateway as {spellings[machine]}, and would have two shares of the ring; remove one");
        }
    }

    /// <summary>A push must not end nowhere, here again, or on the client's own machine.</summary>
    private void CheckReach(YamlScalar item, ServerOptions options, LocalAddresses local)
    {
        (string host, int port) = HostText.Split(HostText.Canonical(item.Text, options.Pushgateway.Port), 0);
        if (!HostText.TryParseAddress(host, out IPAddress? address) && host == "localhost") address = IPAddress.Loopback;
        string? own = options.Listeners.FirstOrDefault(l => l.Address is { } listener && local.Reaches(host, address, port, listener)).Key;
        string? problem =
            address is not null && local.IsUnreachable(address)
                ? "is the address of no machine (unspecified, broadcast or multicast); write the gateway's own"
            : own is not null
                ? $"is {own} of this program itself, so that pushes would come back to it; write the gateway's address"
            : address is not null && IPAddress.IsLoopback(address) && options.HttpListenAddr is { IsLoopback: false }
                ? "clients on other machines are redirected to themselves; write the address that they reach, or bind http_listen_addr to 127.0.0.1"
            : null;
        if (problem is not null) document.Warn(item, "pushgateway.servers", $"{item.Text}: {problem}");
    }

    private void CheckHealth(PushgatewayOptions gateways)
    {
        HealthCheckOptions health = gateways.HealthCheck;
        document.WarnIf(
            !health.Enabled, "pushgateway.health_check.enabled", "a dead gateway stays in the ring, and pushes to it are lost; remove it, or write true");
        if (!health.Enabled) return;
        document.WarnIf(
            health.FailuresBeforeCritical == 1,
            "pushgateway.health_check.failures_before_critical",
            "one late response moves a gateway's groups to others and back; write 2 or more");
        document.WarnIf(
            health.FailuresBeforeCritical * health.Interval > LateDetection,
            "pushgateway.health_check.interval",
            "a dead gateway is noticed after more than a minute, and pushes to it are lost until then; make it shorter, or failures_before_critical smaller");
    }

    private void CheckMembership(MembershipOptions membership)
    {
        document.WarnIf(
            membership.MassLossRatio >= 1,
            "membership.mass_loss_ratio",
            "a fault that only this instance sees, such as a network partition, removes most gateways at once, and their groups move; write 0.5");
        document.WarnIf(membership.MassLossHold == TimeSpan.Zero, "membership.mass_loss_hold", "a loss of most gateways takes effect at once; write 15s");
        document.WarnIf(
            membership.Settle == TimeSpan.Zero && membership.AdmitAfter == TimeSpan.Zero,
            document.Has("membership.admit_after") ? "membership.admit_after" : "membership.settle",
            "with settle and admit_after 0, a flapping gateway changes the ring with every check; write 5s");
    }

    private void CheckAllowed(ServerOptions options)
    {
        PushgatewayOptions gateways = options.Pushgateway;
        bool hasCertificate = gateways is { Scheme: "https", Tls.CertFile: not null };
        bool allowsAny = options.Discovery == DiscoveryKind.Consul && options.Membership.Allow == AllowedGateways.Any;
        document.WarnIf(
            allowsAny && (hasCertificate || gateways.BasicAuthUsername is not null),
            document.Has("membership.allow") ? "membership.allow" : hasCertificate ? "pushgateway.tls.cert_file" : "pushgateway.basic_auth.username",
            "whoever registers an instance in Consul becomes a gateway, and gets these credentials and pushes; set membership.allow to configured, or to CIDRs and host patterns");
    }

    private void CheckLimits(LimitOptions limits)
    {
        document.WarnIf(
            limits.BodySkipBytes > LargeBody,
            "limits.body_skip_bytes",
            "request content of this size is read to its end and thrown away; write 1MiB, which saves most connections at less cost");
        document.WarnIf(limits.BodyMinRate == 0, "limits.body_min_rate", "a client may send content as slowly as it likes and hold its connection forever; write 240");
        int descriptors = OpenFileLimit.Current;
        int available = descriptors - DescriptorBudget.Reserve(descriptors);
        document.WarnIf(
            limits.MaxConnections > available,
            "limits.max_connections",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{limits.MaxConnections} is more than the {available} connections that a limit of {descriptors} file descriptors allows; raise LimitNOFILE (ulimit -n), or leave it out"));
    }

    private void CheckShutdown(ShutdownOptions shutdown)
    {
        document.WarnIf(
            shutdown.DrainDelay == TimeSpan.Zero,
            "shutdown.drain_delay",
            "a load balancer has no time to notice a stop, and sends clients to a closed port; write what it needs, 5s for example");
        document.WarnIf(shutdown.Timeout == TimeSpan.Zero, "shutdown.timeout", "a stop resets the connections of requests in flight; write 10s");
    }

    /// <summary>Recognizes other spellings, and the names of this machine; two names of another machine would need a resolver.</summary>
    private static string Machine(string server, int defaultPort)
    {
        (string host, int port) = HostText.Split(HostText.Canonical(server, defaultPort), 0);
        bool isLocalhost = host == "localhost" || (HostText.TryParseAddress(host, out IPAddress? address) && address.Equals(IPAddress.IPv6Loopback));
        return string.Create(CultureInfo.InvariantCulture, $"{(isLocalhost ? "127.0.0.1" : host)} {port}");
    }
}
