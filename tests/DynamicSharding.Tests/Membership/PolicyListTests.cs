using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Membership;

/// <summary>Reports of a complete list, as DNS, target files and HTTP give them.</summary>
public sealed class PolicyListTests
{
    private const string A = "a:9091", B = "b:9091", C = "c:9091", D = "d:9091";

    [Fact]
    public void The_first_list_is_the_first_ring_and_waits_for_verdicts_to_be_ready()
    {
        PolicyHarness policy = Lists();
        policy.SayAll(GatewayHealth.Unknown, B, A, C);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        Assert.Equal(RingChangeCause.Start, Assert.Single(policy.Rings).Decision.Cause);
        Assert.False(policy.Policy.HasVerdict);
        policy.SayAll(GatewayHealth.Passing, A, B, C);
        Assert.True(policy.Policy.HasVerdict);
        policy.Advance(600);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void An_empty_list_is_no_ring_and_no_end_of_one()
    {
        PolicyHarness policy = Lists();
        policy.Report();
        Assert.Empty(policy.Rings);
        policy.SayAll(GatewayHealth.Passing, A, B);
        policy.Prune(A, B);
        policy.Advance(600);
        Assert.Equal($"{A},{B}", policy.Ring);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void A_gateway_that_is_no_longer_listed_leaves_after_settling()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Prune(B);
        Assert.Equal("no longer listed by discovery", policy.Status(B).Reason);
        policy.Advance(0.99);
        Assert.Equal(0, policy.Changes);
        policy.Advance(0.01);
        Assert.Equal($"{A},{C}", policy.Ring);
        Assert.Equal(RingChangeCause.Loss, policy.Rings[^1].Decision.Cause);
        Assert.DoesNotContain(policy.Policy.Statuses(), gateway => gateway.Address == B);
    }

    [Fact]
    public void A_list_that_is_short_for_a_moment_changes_nothing()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Prune(B);
        policy.Advance(0.9);
        policy.SayAll(GatewayHealth.Unknown, B);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void A_list_that_loses_most_of_its_gateways_is_held()
    {
        PolicyHarness policy = Healthy(A, B, C, D);
        policy.Prune(A, B, C);
        Assert.Equal(GatewayState.Held, policy.Status(A).State);
        policy.Advance(14);
        Assert.Equal(0, policy.Changes);
        policy.SayAll(GatewayHealth.Passing, A, B, C);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);

        policy.Prune(A, B, C);
        policy.Advance(20);
        Assert.Equal(D, policy.Ring);
        Assert.Equal(RingChangeCause.MassLoss, policy.Rings[^1].Decision.Cause);
    }

    [Fact]
    public void A_gateway_that_is_listed_later_joins_when_it_is_healthy()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.Say(C, GatewayHealth.Unknown);
        policy.Advance(600);
        Assert.Equal(0, policy.Changes);
        policy.Say(C, GatewayHealth.Passing);
        policy.Advance(4.9);
        Assert.Equal(0, policy.Changes);
        policy.Advance(1.1);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
    }

    [Fact]
    public void A_list_that_comes_again_and_again_is_no_change()
    {
        PolicyHarness policy = Healthy(A, B, C);
        for (int i = 0; i < 100; i++)
        {
            policy.Report();
            policy.Advance(1);
        }

        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void Gateways_that_are_not_allowed_are_in_no_ring()
    {
        Assert.Null(AllowedGateways.TryParse("a", out AllowedGateways.Rule rule));
        PolicyHarness policy = new(new MembershipOptions { Allow = AllowedGateways.Of([rule]) }) { IsList = true };
        policy.SayAll(GatewayHealth.Passing, A, B);
        Assert.Equal(A, policy.Ring);
        Assert.Equal(GatewayState.Refused, policy.Status(B).State);
    }

    private static PolicyHarness Lists() => new() { IsList = true };

    private static PolicyHarness Healthy(params string[] addresses)
    {
        PolicyHarness policy = Lists();
        policy.SayAll(GatewayHealth.Passing, addresses);
        policy.Advance(60);
        return policy;
    }
}
