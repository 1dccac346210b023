using DynamicSharding.Discovery;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Membership;

public sealed class PolicyWeightTests
{
    [Fact]
    public void Weights_of_the_file_are_those_of_the_first_ring()
    {
        PolicyHarness policy = Harness(("a", 2), ("b", 1), ("c", 0));
        Assert.Equal("a,b", policy.Ring);
        Assert.Equal([2, 1], policy.Rings.Single().Decision.Weights.ToArray());
        policy.SayAll(GatewayHealth.Passing, "a", "b", "c");
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
        GatewayStatus drained = policy.Status("c");
        Assert.Equal((GatewayState.Draining, "its weight is 0", 0), (drained.State, drained.Reason, drained.Weight));
    }

    [Fact]
    public void A_reload_applies_weights_at_once_and_says_what_changed()
    {
        PolicyHarness policy = Harness(("a", 1), ("b", 1), ("c", 1));
        policy.SayAll(GatewayHealth.Passing, "a", "b", "c");
        policy.Weigh(("a", 3), ("b", 1), ("c", 0));
        PolicyDecision decision = policy.Rings[^1].Decision;
        Assert.Equal((1, RingChangeCause.Reload, "weight 0: c; weight: a (1 to 3)"), (policy.Changes, decision.Cause, decision.Reason));
        Assert.Equal("a,b", policy.Ring);
        Assert.Equal([3, 1], decision.Weights.ToArray());

        // The same file again: nothing moves. An explicit 1 is the default.
        policy.Weigh(("a", 3), ("b", 1), ("c", 0));
        policy.Configure(["a", "b", "c"], new Dictionary<string, int> { ["a"] = 3, ["c"] = 0 });
        policy.Advance(60);
        Assert.Equal(1, policy.Changes);

        // From 0 it joins like any other gateway, and it has been healthy all the time.
        policy.Weigh(("a", 3), ("b", 1), ("c", 2));
        policy.Advance(1);
        Assert.Equal((2, "a,b,c"), (policy.Changes, policy.Ring));
        Assert.Equal([3, 1, 2], policy.Rings[^1].Decision.Weights.ToArray());
    }

    [Fact]
    public void Weights_of_discovery_settle_and_become_one_ring()
    {
        var policy = new PolicyHarness(null, "a", "b");
        Say(policy, ("a", null), ("b", null));
        Say(policy, ("a", 2), ("b", 1));
        policy.Advance(0.5);
        Say(policy, ("a", 2), ("b", 4));
        Assert.Equal(0, policy.Changes);
        policy.Advance(0.6);
        PolicyDecision decision = policy.Rings[^1].Decision;
        Assert.Equal((1, RingChangeCause.Weight, "weight: a (1 to 2), b (1 to 4)"), (policy.Changes, decision.Cause, decision.Reason));
        Assert.Equal([2, 4], decision.Weights.ToArray());

        // A report that says nothing about weights changes none, and neither does one without the gateway.
        Say(policy, ("a", null), ("b", null));
        policy.Advance(60);
        Say(policy, ("a", 2));
        policy.Advance(60);
        Assert.Equal(1, policy.Changes);
    }

    [Fact]
    public void The_files_weight_takes_precedence()
    {
        var policy = new PolicyHarness();
        policy.Configure(["a", "b"], new Dictionary<string, int> { ["a"] = 5 });
        Say(policy, ("a", 2), ("b", 3));
        policy.Advance(60);
        Assert.Equal([5, 3], policy.Rings[^1].Decision.Weights.ToArray());

        // Without one in the file, what discovery said applies.
        policy.Configure("a", "b");
        Assert.Equal([2, 3], policy.Rings[^1].Decision.Weights.ToArray());
    }

    [Fact]
    public void Weight_0_of_discovery_drains_without_counting_as_a_loss()
    {
        var policy = new PolicyHarness(null, "a", "b", "c");
        Say(policy, ("a", 1), ("b", 1), ("c", 1));

        // Two of three would be a mass loss, which is held.
        Say(policy, ("a", 1), ("b", 0), ("c", 0));
        Assert.Equal((GatewayState.Draining, "its weight is 0"), (policy.Status("b").State, policy.Status("b").Reason));
        policy.Advance(1);
        PolicyDecision decision = policy.Rings[^1].Decision;
        Assert.Equal((1, "a", RingChangeCause.Weight, "left: b (its weight is 0), c (its weight is 0)"), (policy.Changes, policy.Ring, decision.Cause, decision.Reason));
        policy.Advance(60);
        Assert.Equal(1, policy.Changes);
        Assert.Equal(["a", "b", "c"], policy.Policy.Statuses().Select(static g => g.Address));
    }

    [Fact]
    public void If_discovery_gives_everyone_0_the_last_ring_stays_with_its_weights()
    {
        var policy = new PolicyHarness(null, "a", "b");
        Say(policy, ("a", 2), ("b", 1));
        policy.Advance(5);
        Say(policy, ("a", 0), ("b", 0));
        policy.Advance(600);
        Assert.Equal((1, "a,b"), (policy.Changes, policy.Ring));
        Assert.Equal([2, 1], policy.Policy.Weights.ToArray());
        Assert.Equal("its weight is 0, kept until another gateway joins", policy.Status("a").Reason);

        // A third one with a weight: now they leave.
        Say(policy, ("a", 0), ("b", 0), ("c", 1));
        policy.Advance(6);
        Assert.Equal((2, "c"), (policy.Changes, policy.Ring));
    }

    [Fact]
    public void A_gateway_that_never_had_a_weight_is_not_in_the_first_ring_of_discovery()
    {
        PolicyHarness policy = new();
        policy.Observe([Verdict("a", 0), Verdict("b", 7)], adopt: true);
        Assert.Equal("b", policy.Ring);
        Assert.Equal([7], policy.Rings.Single().Decision.Weights.ToArray());
    }

    [Fact]
    public void A_change_while_a_loss_is_held_keeps_the_lost_one()
    {
        var policy = new PolicyHarness(null, "a", "b", "c");
        Say(policy, ("a", 1), ("b", 1), ("c", 1));
        policy.Observe([Verdict("a", 3), Verdict("b", 1) with { Health = GatewayHealth.Critical }, Verdict("c", 1) with { Health = GatewayHealth.Critical }]);
        policy.Advance(2);
        Assert.Equal((1, "a,b,c"), (policy.Changes, policy.Ring));
        Assert.Equal([3, 1, 1], policy.Policy.Weights.ToArray());
        policy.Advance(20);
        Assert.Equal((2, "a"), (policy.Changes, policy.Ring));
    }

    private static PolicyHarness Harness(params (string Address, int Weight)[] servers)
    {
        var policy = new PolicyHarness();
        policy.Weigh(servers);
        return policy;
    }

    private static void Say(PolicyHarness policy, params (string Address, int? Weight)[] gateways) =>
        policy.Observe([.. gateways.Select(g => Verdict(g.Address, g.Weight))]);

    private static GatewayVerdict Verdict(string address, int? weight) => new(address, GatewayHealth.Passing, false, null) { Weight = weight };
}
