using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>
/// Values that are valid and that an operator may regret: each with its place, what it leads to and what to write instead. The defaults
/// carry none of them, so a warning is always about something that was written.
/// </summary>
internal sealed class ConfigLint(ConfigDocument document, ConfigProblems problems)
{
    private const int OriginalReplicas = 500;
    private const long LargeBody = 16 << 20;

    /// <summary>A push interval or two: longer, and what was pushed to a dead gateway is missed.</summary>
    private static readonly TimeSpan LateDetection = TimeSpan.FromMinutes(1);

    public void Check(ServerOptions options)
    {
        CheckListeners(options);
        CheckServers(options);
        CheckHealth(options.Pushgateway);
        CheckMembership(options.Membership);
        CheckAllowed(options);
        CheckLimits(options.Limits);
        CheckShutdown(options.Shutdown);
        WarnIf(
            options.Consul.Tls.InsecureSkipVerify && document.Has("consul_server.tls.insecure_skip_verify"),
            "consul_server.tls.insecure_skip_verify",
            "whoever answers at this address decides where pushes go, and gets the token; set consul_server.tls.ca_file instead");
        WarnIf(
            options.Sharding.Replicas != OriginalReplicas,
            "sharding.replicas",
            "every instance must have the same number, and the Go program of this name has 500: rings differ otherwise; leave it out unless all agree");
        WarnIf(
            options.Log.Level == LogLevelName.Debug,
            "log.level",
            "clients can cause any number of debug lines; use --log.level=debug while looking for something, and info here");
    }

    private void CheckListeners(ServerOptions options)
    {
        AdminOptions admin = options.Admin;
        WarnIf(
            document.Has("admin_listen_addr") && IsEverywhere(options.AdminListenAddr) && admin.BasicAuthUsers.IsEmpty,
            "admin_listen_addr",
            "whoever reaches this machine can reload and read the configuration, without a password; write 127.0.0.1 before the port, or set admin.basic_auth_users");
        WarnIf(
            options.Pushgateway is { BasicAuthUsername: not null, Scheme: "http" },
            "pushgateway.basic_auth.username",
            "the password travels unencrypted with every probe; set pushgateway.scheme to https");
    }

    private void CheckServers(ServerOptions options)
    {
        if (document.Find("pushgateway.servers") is not YamlSequence { Items: { Count: > 0 } items }) return;
        ImmutableArray<string> servers = options.Pushgateway.Servers;
        WarnIf(
            servers.Length == 1 && options.Discovery == DiscoveryKind.Static,
            "pushgateway.servers",
            "one server takes all pushes, and there is none to take over when it fails; list two or more");

        var local = new LocalAddresses();
        var spellings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (YamlScalar item in items.OfType<YamlScalar>())
        {
            int port = options.Pushgateway.Port;
            CheckReach(item, options, local);

            // What has one identity is the validator's to say.
            string machine = Machine(item.Text, port);
            string identity = HostText.Identity(item.Text, port, options.Sharding.Key);
            if (spellings.TryAdd(machine, item.Text) || identity == HostText.Identity(spellings[machine], port, options.Sharding.Key)) continue;
            problems.Warning(
                item,
                $"pushgateway.servers: {item.Text} is the same gateway as {spellings[machine]}, and would have two shares of the ring; remove one");
        }
    }

    /// <summary>Where a push would end: nowhere, here again, or at the client's own machine.</summary>
    private void CheckReach(YamlScalar item, ServerOptions options, LocalAddresses local)
    {
        (string host, int port) = HostText.Split(HostText.Canonical(item.Text, options.Pushgateway.Port), 0);
        if (!HostText.TryParseAddress(host, out IPAddress? address) && host == "localhost") address = IPAddress.Loopback;
        (string Key, ListenAddress? Address)[] listeners =
        [
            ("http_listen_addr", options.HttpListenAddr),
            ("forward_listen_addr", options.ForwardListenAddr),
            ("admin_listen_addr", options.AdminListenAddr),
        ];
        string? own = listeners.FirstOrDefault(l => l.Address is { } listener && local.Reaches(host, address, port, listener)).Key;
        if (address is not null && local.IsNobody(address))
        {
            problems.Warning(
                item, $"pushgateway.servers: {item.Text}: is the address of no machine (unspecified, broadcast or multicast); write the gateway's own");
        }
        else if (own is not null)
        {
            problems.Warning(
                item, $"pushgateway.servers: {item.Text}: is {own} of this program itself, so that pushes would come back to it; write the gateway's address");
        }
        else if (address is not null && IPAddress.IsLoopback(address) && !IsLocal(options.HttpListenAddr))
        {
            problems.Warning(
                item,
                $"pushgateway.servers: {item.Text}: clients on other machines are redirected to themselves; write the address that they reach, or bind http_listen_addr to 127.0.0.1");
        }
    }

    private void CheckHealth(PushgatewayOptions gateways)
    {
        HealthCheckOptions health = gateways.HealthCheck;
        if (!health.Enabled)
        {
            WarnIf(true, "pushgateway.health_check.enabled", "a gateway that is dead stays in the ring, and pushes to it are lost; remove it, or write true");
            return;
        }

        WarnIf(
            health.FailuresBeforeCritical == 1,
            "pushgateway.health_check.failures_before_critical",
            "one late answer moves a gateway's groups to others and back; write 2 or more");
        WarnIf(
            health.FailuresBeforeCritical * health.Interval > LateDetection,
            "pushgateway.health_check.interval",
            "a dead gateway is noticed after more than a minute, and pushes to it are lost until then; make it shorter, or failures_before_critical smaller");
    }

    private void CheckMembership(MembershipOptions membership)
    {
        WarnIf(
            membership.MassLossRatio >= 1,
            "membership.mass_loss_ratio",
            "a fault of the view, such as a cut network, takes most gateways out at once, and their groups move; write 0.5");
        WarnIf(membership.MassLossHold == TimeSpan.Zero, "membership.mass_loss_hold", "a loss of most gateways is not held at all; write 15s");
        WarnIf(
            membership.Settle == TimeSpan.Zero && membership.AdmitAfter == TimeSpan.Zero,
            document.Has("membership.admit_after") ? "membership.admit_after" : "membership.settle",
            "with settle and admit_after 0, a flapping gateway changes the ring with every check; write 5s");
    }

    private void CheckAllowed(ServerOptions options)
    {
        PushgatewayOptions gateways = options.Pushgateway;
        bool hasCertificate = gateways is { Scheme: "https", Tls.CertFile: not null };
        if (options.Discovery != DiscoveryKind.Consul || options.Membership.Allow != AllowedGateways.Any) return;
        if (gateways.BasicAuthUsername is null && !hasCertificate) return;
        string key = document.Has("membership.allow") ? "membership.allow" : hasCertificate ? "pushgateway.tls.cert_file" : "pushgateway.basic_auth.username";
        WarnIf(
            true,
            key,
            "whoever registers an instance in Consul becomes a gateway, and gets these credentials and pushes; set membership.allow to configured, or to CIDRs and host patterns");
    }

    private void CheckLimits(LimitOptions limits)
    {
        WarnIf(
            limits.BodySkipBytes > LargeBody,
            "limits.body_skip_bytes",
            "contents of this size are read to their end although they are not kept; a megabyte or so saves a connection for less");
        WarnIf(limits.BodyMinRate == 0, "limits.body_min_rate", "a client may send content as slowly as it likes and keep its connection for ever; write 240");
        int descriptors = OpenFileLimit.Current;
        int available = descriptors - DescriptorBudget.Reserve(descriptors);
        WarnIf(
            limits.MaxConnections > available,
            "limits.max_connections",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{limits.MaxConnections} is more than the {available} connections that a limit of {descriptors} file descriptors allows; raise LimitNOFILE (ulimit -n), or leave it out"));
    }

    private void CheckShutdown(ShutdownOptions shutdown)
    {
        WarnIf(
            shutdown.DrainDelay == TimeSpan.Zero,
            "shutdown.drain_delay",
            "a load balancer has no time to notice a stop, and sends clients to a closed port; write what it needs, 5s for example");
        WarnIf(shutdown.Timeout == TimeSpan.Zero, "shutdown.timeout", "requests in flight are cut off by a stop; write 10s");
    }

    private void WarnIf(bool isRisky, string key, string sentence)
    {
        if (isRisky) problems.Warning(document.Nearest(key), $"{key}: {sentence}");
    }

    /// <summary>Two names of one machine cannot be told from here; the names of this one, and two spellings, can.</summary>
    private static string Machine(string server, int defaultPort)
    {
        (string host, int port) = HostText.Split(HostText.Canonical(server, defaultPort), 0);
        bool isLocalhost = host == "localhost" || (HostText.TryParseAddress(host, out IPAddress? address) && address.Equals(IPAddress.IPv6Loopback));
        return string.Create(CultureInfo.InvariantCulture, $"{(isLocalhost ? "127.0.0.1" : host)} {port}");
    }

    private static bool IsEverywhere(ListenAddress? address) =>
        address is { Host: null } || (address is { Host: { } host } && (host.Equals(IPAddress.Any) || host.Equals(IPAddress.IPv6Any)));

    private static bool IsLocal(ListenAddress address) => address.Host is { } host && IPAddress.IsLoopback(host);
}
