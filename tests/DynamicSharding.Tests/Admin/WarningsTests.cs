using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Admin;
using DynamicSharding.Admin.Api;
using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Admin;

/// <summary>Each situation that an operator should hear of has its sentence and its remedy; a healthy server has none.</summary>
public sealed class WarningsTests
{
    [Fact]
    public void A_healthy_fleet_needs_no_attention() => Assert.Empty(Of(_ => { }));

    [Theory]
    [InlineData(nameof(GatewayState.Held), "critical", "1 gateway failing and still in the ring: gw2:9091.")]
    [InlineData(nameof(GatewayState.Leaving), "warning", "Failing, about to leave the ring: gw2:9091.")]
    [InlineData(nameof(GatewayState.Out), "warning", "Not in the ring: gw2:9091.")]
    public void A_gateway_in_trouble_is_named(string state, string severity, string what) =>
        Says(severity, what, admin => SetState(admin, Enum.Parse<GatewayState>(state)));

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
        "1 connections were turned away since the start, because too many were open.",
        admin => admin.Counters.Loops[0].CountReject(RejectReason.TooManyConnections));

    [Fact]
    public void A_consul_that_fails() => Says("warning", "Consul has given no usable answer for 1 h 0 min: no leader", admin => SetDiscovery(admin, "no leader"));

    [Fact]
    public void A_consul_that_is_silent() => Says("warning", "Consul has not answered for 1 h 0 min.", admin => SetDiscovery(admin, null));

    [Fact]
    public void A_failed_reload() => Says(
        "warning",
        "The last reload failed; the configuration of 2026-01-02 03:04:05 UTC stays in force.",
        admin => admin.ReloadStatus = new ReloadStatus(false, AdminFixture.Start) { Errors = ["a.yml:1:2: wrong"] });

    [Fact]
    public void Keys_that_wait_for_a_restart() => Says(
        "note",
        "Changed in the file, not in force: sharding.key.",
        admin => admin.ReloadStatus = new ReloadStatus(true, AdminFixture.Start) { NeedRestart = ["sharding.key"] });

    [Fact]
    public void Checks_that_are_off() => Says(
        "note",
        "Health checks are off: every configured gateway is in the ring, dead or alive.",
        admin => admin.Options = admin.Options with { Pushgateway = new PushgatewayOptions { HealthCheck = new HealthCheckOptions { Enabled = false } } });

    [Fact]
    public void A_ring_that_could_not_be_built() =>
        Says("critical", "A ring could not be built; the old one stays in use.", admin => admin.View = admin.View with { BuildFailures = 1 });

    [Fact]
    public void A_recent_change() => Says(
        "note",
        "The ring changed 59 min 30 s ago; 25.0 % of the groups have another owner.",
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
        Assert.Equal(warned, warnings.Any(w => w.What == "Passwords for this page travel unencrypted."));
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
        happen(admin);
        DateTimeOffset now = AdminFixture.Start + TimeSpan.FromHours(1);
        return Warnings.Of(admin.Context(), new Fleet(admin.Ring, () => admin.View).Look(), now);
    }

    private static void SetState(AdminFixture admin, GatewayState state) => admin.View = admin.View with
    {
        Gateways = [AdminFixture.Status("gw1:9091", GatewayState.Member), AdminFixture.Status("gw2:9091", state)],
    };

    private static void SetDiscovery(AdminFixture admin, string? error) =>
        admin.View = admin.View with { Discovery = new DiscoveryStatus("consul", AdminFixture.Start, 1, error, 7, null) };

    private static RingChange Change(double minutes) =>
        AdminFixture.Change("gw2:9091 joined") with { At = AdminFixture.Start + TimeSpan.FromMinutes(minutes), Cause = RingChangeCause.Join };
}
