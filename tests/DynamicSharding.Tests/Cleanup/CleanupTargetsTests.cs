using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Ring;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>Which gateways a pass reads, and when none may begin.</summary>
public sealed class CleanupTargetsTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly HashRing<Gateway> _ring = TestRing.Build(["member:1"], replicas: 1);

    [Fact]
    public void A_former_member_is_read_for_seven_days()
    {
        MembershipView view = View([Status("member:1", GatewayState.Member)], "former:1");
        DateTimeOffset left = _time.GetUtcNow();
        Assert.Equal([("former:1", left), ("member:1", null)], Targets(view));
        _time.Advance(TimeSpan.FromDays(7) - TimeSpan.FromSeconds(1));
        Assert.Equal([("former:1", left), ("member:1", null)], Targets(view));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([("member:1", null)], Targets(view));
    }

    /// <summary>What discovery still names is read as long as it does, and when it left counts for expiry.</summary>
    [Fact]
    public void What_is_out_of_the_ring_is_read_unless_it_is_refused()
    {
        MembershipView view = View(
            [Status("member:1", GatewayState.Member), Status("out:1", GatewayState.Out), Status("left:1", GatewayState.Out), Status("refused:1", GatewayState.Refused), Status("draining:1", GatewayState.Draining)],
            "left:1", "refused:1", "draining:1", "member:1");
        DateTimeOffset left = _time.GetUtcNow();
        (string, DateTimeOffset?)[] all = [("draining:1", null), ("left:1", left), ("member:1", null), ("out:1", null)];
        Assert.Equal(all, Targets(view));
        _time.Advance(TimeSpan.FromDays(8));
        Assert.Equal([("draining:1", null), ("left:1", null), ("member:1", null), ("out:1", null)], Targets(view));
    }

    [Theory]
    [InlineData("Joining", "x:1 is joining")]
    [InlineData("Held", "x:1 is held")]
    [InlineData("Leaving", "x:1 is leaving")]
    [InlineData("Member", null)]
    [InlineData("Draining", null)]
    [InlineData("Out", null)]
    [InlineData("Refused", null)]
    public void No_pass_begins_while_a_gateway_s_place_is_about_to_change(string state, string? why) =>
        Assert.Equal(why, CleanupTargets.WhyUnsettled(View([Status("member:1", GatewayState.Member), Status("x:1", Enum.Parse<GatewayState>(state))])));

    private static GatewayStatus Status(string address, GatewayState state) => new(address, state, default, "", null, Overloaded: false);

    private (string, DateTimeOffset?)[] Targets(MembershipView view) => [.. CleanupTargets.Of(_ring, view, _time).Select(static target => (target.Address, target.LeftAt))];

    private MembershipView View(GatewayStatus[] gateways, params string[] former) =>
        new([.. gateways], [], 0, true, new DiscoveryStatus(DiscoveryKind.Static, null, 0, null, 0, null)) { Former = former.ToDictionary(static address => address, _ => _time.GetTimestamp()) };
}
