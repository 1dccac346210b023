using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Http;
using DynamicSharding.Membership;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Admin;

/// <summary>Each situation that an operator should know about has a warning and a remedy; a healthy server has none.</summary>
public sealed class WarningsTests
{
    [Fact]
    public void A_healthy_fleet_needs_no_attention() => Assert.Empty(Of(_ => { }));

    [Theory]
    [InlineData(nameof(GatewayState.Held), "critical", "1 gateway failing but still in the ring: gw2:9091.")]
    [InlineData(nameof(GatewayState.Leaving), "warning", "Failing, about to leave the ring: gw2:9091.")]
    [InlineData(nameof(GatewayState.Out), "warning", "Not in the ring: gw2:9091.")]
    public void A_gateway_in_trouble_is_named(string state, string severity, string what) =>
        Says(severity, what, admin => SetState(admin, Enum.Parse<GatewayState>(state)));

    /// <summary>Losses are applied only while another gateway is healthy: nothing else is promised.</summary>
    [Theory]
    [InlineData(GatewayState.Member, "check. Those that still fail leave the ring after 15s, as long as another gateway is healthy; after an outage of all gateways, that time begins when the first is healthy again.")]
    [InlineData(GatewayState.Held, "check. No other gateway is healthy, so they stay in the ring until one is, and pushes to those that are dead are lost.")]
    internal void What_becomes_of_held_gateways_depends_on_the_others(GatewayState other, string expected)
    {
        IReadOnlyList<WarningEntry> warnings = Of(admin => admin.View = admin.View with
        {
            Gateways = [AdminFixture.Status("gw1:9091", other), AdminFixture.Status("gw2:9091", GatewayState.Held)],
        });
        Assert.EndsWith(expected, warnings[0].Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gateway_that_is_being_checked_is_no_loss() => Assert.Empty(Of(admin => admin.View = admin.View with
    {
        Gateways =
        [
            AdminFixture.Status("gw1:9091", GatewayState.Member),
            AdminFixture.Status("gw2:9091", GatewayState.Member),
            AdminFixture.Status("gw3:9091", GatewayState.Out) with { IsBeingChecked = true },
        ],
    }));

    [Fact]
    public void A_registration_that_Consul_rejects() => Says(
        "warning", "Gateways cannot be registered in Consul: status 403: Permission denied", admin => admin.View = admin.View with
        {
            Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start + TimeSpan.FromHours(1), 0, null, 7, null) { RegistrationError = "status 403: Permission denied" },
        });

    [Fact]
    public void Servers_of_Consul_without_a_leader() => Says(
        "warning", "Consul's servers have no leader: no change of a gateway's health is seen, and nothing can be registered.", admin => admin.View = admin.View with
        {
            Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start + TimeSpan.FromHours(1), 0, null, 7, null) { ConsulKnownLeader = false },
        });

    [Fact]
    public void A_full_write_queue() => Says("warning", "The write queue is full on gw2:9091.", admin => admin.View = admin.View with
    {
        Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Member), AdminFixture.Status("gw2:9091", GatewayState.Member) with { Overloaded = true }],
    });

    [Fact]
    public void Not_ready() => Says("warning", "This instance is not ready: shutting down.", admin => admin.Readiness.SetObstacle("shutting down"));

    [Fact]
    public void Connections_turned_away() => Says(
        "warning",
        "1 connection rejected within the last hour because too many were open.",
        admin => admin.Counters.Loops[0].CountReject(RejectReason.TooManyConnections));

    [Theory]
    [InlineData(CloseReason.UntrustedProxy, "1 connection closed within the last hour because the peer is not in trusted_proxies.")]
    [InlineData(CloseReason.BadProxyHeader, "1 connection closed within the last hour because they did not begin with a valid header of the PROXY protocol.")]
    [InlineData(CloseReason.UnexpectedProxyHeader, "1 connection rejected within the last hour because a header of the PROXY protocol came where none is expected.")]
    internal void A_proxy_that_is_not_configured(CloseReason reason, string what) => Says("warning", what, admin => admin.Counters.Loops[1].CountClose(reason));

    [Fact]
    public void A_proxy_whose_header_is_not_expected() => Says(
        "warning",
        "1 connection rejected within the last hour because a header of the PROXY protocol came where none is expected.",
        admin => admin.Counters.Loops[0].CountReject(RejectReason.UnexpectedProxyHeader));

    [Fact]
    public void A_consul_that_fails() => Says("warning", "No usable response from Consul for 1 h 0 min: no leader", admin => SetDiscovery(admin, "no leader"));

    [Fact]
    public void A_consul_that_is_silent() => Says("warning", "No response from Consul for 1 h 0 min.", admin => SetDiscovery(admin, null));

    [Fact]
    public void A_failed_reload() => Says(
        "warning",
        "The last reload failed; the configuration of 2026-01-02 03:04:05 UTC stays active.",
        admin => admin.ReloadStatus = new ReloadStatus(false, AdminFixture.Start) { Errors = ["a.yml:1:2: wrong"] });

    [Fact]
    public void Keys_that_wait_for_a_restart() => Says(
        "note",
        "Changed in the file but not active: sharding.key.",
        admin => admin.ReloadStatus = new ReloadStatus(true, AdminFixture.Start) { NeedRestart = ["sharding.key"] });

    [Fact]
    public void A_file_that_was_edited() => Says(
        "note",
        "The configuration file was edited at 2026-01-02 03:04:05 UTC and has not been reloaded since.",
        static admin => admin.ConfigFile = new ConfigFileStatus(ConfigFileState.Edited, AdminFixture.Start));

    [Fact]
    public void A_file_that_was_edited_and_would_not_load() => Says(
        "warning",
        "The configuration file was edited at 2026-01-02 03:04:05 UTC, and would not load: a reload fails, and so does the next start.",
        static admin => admin.ConfigFile = new ConfigFileStatus(ConfigFileState.Edited, AdminFixture.Start) { Error = "a.yml:1:1: this is not a known key" });

    [Fact]
    public void A_file_that_would_not_load() => Says(
        "warning",
        "The configuration file would not load: a reload fails, and so does the next start.",
        static admin => admin.ConfigFile = new ConfigFileStatus(ConfigFileState.Edited, null) { Error = "a.yml: is a directory" });

    [Fact]
    public void A_file_that_is_gone() => Says(
        "warning",
        "The configuration file does not exist any more: a reload fails, and so does the next start.",
        static admin => admin.ConfigFile = new ConfigFileStatus(ConfigFileState.Missing, null));

    [Fact]
    public void Checks_that_are_off() => Says(
        "note",
        "Health checks are off: every configured gateway is in the ring, dead or alive.",
        admin => admin.Options = admin.Options with { Pushgateway = new PushgatewayOptions { HealthCheck = new HealthCheckOptions { Enabled = false } } });

    [Fact]
    public void A_ring_that_could_not_be_built() =>
        Says("critical", "A ring could not be built; the previous one stays in use.", admin => admin.View = admin.View with { BuildFailures = 1 });

    [Fact]
    public void A_first_ring_that_could_not_be_built()
    {
        var admin = new AdminFixture();
        admin.View = admin.View with { BuildFailures = 2 };
        var fleet = new Fleet(admin.Ring, () => admin.View, admin.Time);
        using var recent = new RecentActivity(fleet, admin.Counters, admin.Time);
        Assert.Equal(
            "No ring could be built: every push gets a 503 response.",
            Warnings.Of(admin.Context(), fleet.Snapshot(), recent, admin.Time.GetUtcNow())[0].What);
    }

    [Fact]
    public void A_fleet_without_weight()
    {
        var admin = new AdminFixture();
        admin.View = admin.View with { Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Draining) with { Weight = 0 }] };
        var fleet = new Fleet(admin.Ring, () => admin.View, admin.Time);
        using var recent = new RecentActivity(fleet, admin.Counters, admin.Time);
        Assert.Equal(
            "Every Pushgateway has weight 0: every push gets a 503 response.",
            Warnings.Of(admin.Context(), fleet.Snapshot(), recent, admin.Time.GetUtcNow())[0].What);
    }

    [Fact]
    public void What_ended_an_hour_ago_is_no_longer_a_warning()
    {
        var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        admin.Counters.Loops[0].CountReject(RejectReason.TooManyConnections);
        admin.View = admin.View with { BuildFailures = 3 };
        var fleet = new Fleet(admin.Ring, () => admin.View, admin.Time);
        using var recent = new RecentActivity(fleet, admin.Counters, admin.Time);
        Assert.Empty(Snapshot());
        admin.Time.Advance(TimeSpan.FromMinutes(90));
        for (int i = 0; i < 7; i++) admin.Counters.Loops[1].CountReject(RejectReason.TooManyConnections);
        admin.View = admin.View with { BuildFailures = 4 };
        admin.Time.Advance(TimeSpan.FromMinutes(58));
        Assert.Equal(
            ["A ring could not be built; the previous one stays in use.", "7 connections rejected within the last hour because too many were open."],
            Snapshot());
        admin.Time.Advance(TimeSpan.FromMinutes(3));
        Assert.Empty(Snapshot());

        // Unless the ring still differs from the membership.
        admin.View = admin.View with { Gateways = [.. admin.View.Gateways, AdminFixture.Status("gw3:9091", GatewayState.Member)] };
        Assert.Equal(["A ring could not be built; the previous one stays in use."], Snapshot());

        string[] Snapshot() =>
        [
            .. Warnings.Of(admin.Context(), fleet.Snapshot(), recent, admin.Time.GetUtcNow()).Select(w => w.What),
        ];
    }

    [Theory]
    [InlineData(1, "Its groups go to the others. Start it, or fix what its check reports; it rejoins after being healthy for 5s.")]
    [InlineData(2, "Their groups go to the others. Start them, or fix what their checks report; they rejoin after being healthy for 5s.")]
    public void The_remedy_is_singular_for_one_gateway(int gone, string remedy)
    {
        IReadOnlyList<WarningEntry> warnings = Of(admin => admin.View = admin.View with
        {
            Gateways = [.. Enumerable.Range(3, gone).Select(i => AdminFixture.Status($"gw{i}:9091", GatewayState.Out))],
        });
        Assert.Equal(remedy, Assert.Single(warnings, w => w.What.StartsWith("Not in the ring: ", StringComparison.Ordinal)).Remedy);
    }

    [Fact]
    public void A_recent_change() => Says(
        "note",
        "The ring changed 59 min 30 s ago; 25.0% of the groups have a new owner.",
        admin => admin.View = admin.View with { History = [Change(minutes: 0.5)] });

    [Fact]
    public void A_ring_that_flaps() => Says(
        "warning",
        "The ring changed 8 times within an hour.",
        admin => admin.View = admin.View with { History = [.. Enumerable.Range(1, 8).Select(i => Change(i))] });

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.0.0.1", true)]
    public void Passwords_that_travel_in_the_clear(string host, bool warned)
    {
        IReadOnlyList<WarningEntry> warnings = Of(admin => admin.Options = admin.Options with
        {
            AdminListenAddr = new ListenAddress(IPAddress.Parse(host), 9293),
            Admin = new AdminOptions { BasicAuthUsers = ImmutableSortedDictionary<string, string>.Empty.Add("alice", "x") },
        });
        Assert.Equal(warned, warnings.Any(w => w.What == "Passwords for this page are sent unencrypted."));
    }

    [Fact]
    public void The_worst_comes_first()
    {
        IReadOnlyList<WarningEntry> warnings = Of(admin =>
        {
            admin.ReloadStatus = new ReloadStatus(true, AdminFixture.Start) { NeedRestart = ["sharding.key"] };
            admin.Readiness.SetObstacle("starting");
            SetState(admin, GatewayState.Held);
        });
        Assert.Equal(["critical", "warning", "note"], warnings.Select(w => w.Severity));
    }

    private static void Says(string severity, string what, Action<AdminFixture> happen)
    {
        WarningEntry warning = Assert.Single(Of(happen), w => w.What == what);
        Assert.Equal(severity, warning.Severity);
        Assert.NotEmpty(warning.Remedy);
    }

    private static IReadOnlyList<WarningEntry> Of(Action<AdminFixture> happen)
    {
        var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        var fleet = new Fleet(admin.Ring, () => admin.View, admin.Time);
        using var recent = new RecentActivity(fleet, admin.Counters, admin.Time);
        happen(admin);
        DateTimeOffset now = AdminFixture.Start + TimeSpan.FromHours(1);
        return Warnings.Of(admin.Context(), fleet.Snapshot(), recent, now);
    }

    private static void SetState(AdminFixture admin, GatewayState state) => admin.View = admin.View with
    {
        Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Member), AdminFixture.Status("gw2:9091", state)],
    };

    private static void SetDiscovery(AdminFixture admin, string? error) =>
        admin.View = admin.View with { Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 1, error, 7, null) };

    private static RingChange Change(double minutes) =>
        AdminFixture.Change("gw2:9091 joined") with { At = AdminFixture.Start + TimeSpan.FromMinutes(minutes), Cause = RingChangeCause.Join };
}
