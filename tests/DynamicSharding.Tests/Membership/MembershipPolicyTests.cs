using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Membership;

public class MembershipPolicyTests
{
    private const string A = "a:9091", B = "b:9091", C = "c:9091", D = "d:9091";

    [Fact]
    public void The_configured_list_is_the_first_ring_and_healthy_gateways_change_nothing()
    {
        var policy = new PolicyHarness(null, B, A, C);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        policy.SayAll(GatewayHealth.Passing, A, B, C);
        policy.Advance(600);
        Assert.Equal(0, policy.Changes);
        Assert.True(policy.Policy.HasVerdict);
        Assert.Null(policy.Policy.NextDeadline);
    }

    [Fact]
    public void A_single_loss_leaves_after_settling()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(B, GatewayHealth.Critical, "connection refused");
        Assert.Equal(GatewayState.Leaving, policy.Status(B).State);
        policy.Advance(0.99);
        Assert.Equal(0, policy.Changes);
        policy.Advance(0.01);
        Assert.Equal($"{A},{C}", policy.Ring);
        Assert.Equal(RingChangeCause.Loss, policy.Rings[^1].Decision.Cause);
        Assert.Contains("connection refused", policy.Rings[^1].Decision.Reason);
        Assert.Equal(GatewayState.Out, policy.Status(B).State);
    }

    [Fact]
    public void A_gateway_that_returns_before_settling_never_left()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(B, GatewayHealth.Critical);
        policy.Advance(0.9);
        policy.Say(B, GatewayHealth.Passing);
        policy.Advance(100);
        Assert.Equal(0, policy.Changes);
    }

    /// <summary>A second after a reload that adds it, nothing has failed.</summary>
    [Fact]
    public void A_new_gateway_is_being_checked_until_its_first_verdict()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.Configure(A, B, C);
        policy.Say(C, GatewayHealth.Unknown);
        Assert.Equal((GatewayState.Out, "being checked", true), (policy.Status(C).State, policy.Status(C).Reason, policy.Status(C).IsBeingChecked));
        policy.Say(C, GatewayHealth.Critical, "connection refused");
        Assert.Equal((GatewayState.Out, "connection refused", false), (policy.Status(C).State, policy.Status(C).Reason, policy.Status(C).IsBeingChecked));
        policy.Say(C, GatewayHealth.Unknown);
        Assert.False(policy.Status(C).IsBeingChecked);
        Assert.False(policy.Status(A).IsBeingChecked);
    }

    [Fact]
    public void With_checks_off_a_member_is_not_checked_and_not_healthy()
    {
        PolicyHarness policy = new(null, A);
        policy.Say(A, GatewayHealth.Passing, GatewayVerdict.NotChecked);
        Assert.Equal((GatewayState.Member, "not checked"), (policy.Status(A).State, policy.Status(A).Reason));
        policy.Say(A, GatewayHealth.Passing, "status 200: OK");
        Assert.Equal("healthy", policy.Status(A).Reason);
    }

    [Fact]
    public void A_joiner_must_stay_healthy_without_a_break()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(B, GatewayHealth.Critical);
        policy.Advance(10);
        policy.Say(B, GatewayHealth.Passing);
        Assert.Equal(GatewayState.Joining, policy.Status(B).State);
        policy.Advance(4);
        policy.Say(B, GatewayHealth.Critical);
        policy.Advance(1);
        policy.Say(B, GatewayHealth.Passing);
        policy.Advance(5.9);
        Assert.Equal(1, policy.Changes);
        policy.Advance(0.1);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        Assert.Equal(RingChangeCause.Join, policy.Rings[^1].Decision.Cause);
    }

    [Fact]
    public void Losing_too_many_at_once_is_held_and_counts_when_it_lasts()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B);
        Assert.Equal(GatewayState.Held, policy.Status(A).State);
        policy.Advance(15.9);
        Assert.Equal(0, policy.Changes);
        policy.Advance(0.2);
        Assert.Equal(C, policy.Ring);
        Assert.Equal(RingChangeCause.MassLoss, policy.Rings[^1].Decision.Cause);
    }

    [Fact]
    public void A_mass_loss_that_does_not_last_changes_nothing()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B);
        policy.Advance(14);
        policy.SayAll(GatewayHealth.Passing, A, B);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
        Assert.Equal(GatewayState.Member, policy.Status(A).State);
    }

    [Fact]
    public void Checks_that_fail_one_after_another_are_one_loss()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(A, GatewayHealth.Critical);
        policy.Advance(2);
        Assert.Equal($"{B},{C}", policy.Ring);
        double second = policy.Now;
        policy.Say(B, GatewayHealth.Critical);
        policy.Advance(14.9);
        Assert.Equal(1, policy.Changes);
        policy.Advance(1.2);
        Assert.Equal(C, policy.Ring);
        Assert.InRange(policy.Rings[^1].At - second, 15, 16.1);
    }

    [Fact]
    public void The_last_ring_stays_when_no_gateway_is_healthy()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(A, GatewayHealth.Critical);
        policy.Advance(0.4);
        policy.Say(B, GatewayHealth.Critical);
        policy.Advance(0.4);
        policy.Say(C, GatewayHealth.Critical);
        policy.Advance(3600);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        Assert.Equal(0, policy.Changes);
        Assert.All(policy.Policy.Statuses(), g => Assert.Equal(GatewayState.Held, g.State));
        policy.SayAll(GatewayHealth.Passing, A, B, C);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(3600)]
    public void After_an_outage_of_all_the_ring_waits_for_those_that_recover_later(double outage)
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Advance(outage);
        policy.Say(B, GatewayHealth.Passing);
        Assert.Equal(GatewayState.Held, policy.Status(A).State);
        policy.Advance(7);
        policy.Say(A, GatewayHealth.Passing);
        policy.Advance(7);
        policy.Say(C, GatewayHealth.Passing);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void After_an_outage_of_all_those_that_do_not_recover_leave()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Advance(600);
        policy.SayAll(GatewayHealth.Passing, B, C);
        double recovered = policy.Now;

        // One of three is no mass loss, but it was lost with all.
        policy.Advance(15.9);
        Assert.Equal(0, policy.Changes);
        policy.Advance(0.2);
        Assert.Equal($"{B},{C}", policy.Ring);
        Assert.Equal(RingChangeCause.MassLoss, policy.Rings[^1].Decision.Cause);
        Assert.InRange(policy.Rings[^1].At - recovered, 15, 16.1);

        // The outage is over: the next loss is judged by itself.
        policy.Say(A, GatewayHealth.Passing);
        policy.Advance(60);
        policy.Say(C, GatewayHealth.Critical);
        policy.Advance(1.1);
        Assert.Equal($"{A},{B}", policy.Ring);
    }

    /// <summary>One that has left the ring before the others died, or a new one.</summary>
    [Fact]
    public void After_an_outage_of_all_a_gateway_that_joins_first_does_not_take_all_groups()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(A, GatewayHealth.Critical);
        policy.Advance(2);
        policy.SayAll(GatewayHealth.Critical, B, C);
        policy.Advance(600);
        Assert.Equal($"{B},{C}", policy.Ring);
        policy.Say(A, GatewayHealth.Passing);
        policy.Advance(6.1);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        policy.Say(B, GatewayHealth.Passing);
        policy.Advance(15.9);
        Assert.Equal($"{A},{B}", policy.Ring);
        Assert.Equal(3, policy.Changes);
    }

    [Fact]
    public void A_gateway_that_flaps_after_an_outage_of_all_does_not_keep_the_dead_in_the_ring()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Advance(60);
        for (int i = 0; i < 3; i++)
        {
            policy.Say(A, GatewayHealth.Passing);
            policy.Advance(6);
            policy.Say(A, GatewayHealth.Critical);
            policy.Advance(4);
        }

        Assert.Equal(A, policy.Ring);
        Assert.Equal(1, policy.Changes);

        // A gateway that recovered is held once more after the next outage.
        policy.SayAll(GatewayHealth.Passing, A, B, C);
        policy.Advance(60);
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Advance(60);
        policy.Say(C, GatewayHealth.Passing);
        policy.Advance(14);
        policy.SayAll(GatewayHealth.Passing, A, B);
        policy.Advance(60);
        Assert.Equal(2, policy.Changes);
    }

    [Fact]
    public void An_outage_of_all_lasts_until_a_gateway_is_healthy()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B);
        Assert.False(policy.Policy.IsOutage);
        policy.Say(C, GatewayHealth.Critical);
        Assert.True(policy.Policy.IsOutage);

        // Neither of these makes a gateway healthy.
        policy.SayAll(GatewayHealth.Maintenance, A, B, C);
        Assert.True(policy.Policy.IsOutage);
        policy.Configure(D);
        Assert.True(policy.Policy.IsOutage);

        policy.Say(D, GatewayHealth.Passing);
        policy.Advance(6.1);
        Assert.Equal(D, policy.Ring);
        Assert.False(policy.Policy.IsOutage);
    }

    /// <summary>Its registration was lost, for example. Alone it would take all groups.</summary>
    [Fact]
    public void A_gateway_without_a_verdict_ends_no_outage()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.VerdictTimeout = PolicyHarness.ConsulVerdictTimeout;
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Advance(60);
        policy.Say(A, GatewayHealth.Unknown);
        Assert.True(policy.Policy.IsOutage);
        Assert.Equal([false, false, false], policy.Policy.Statuses().Select(static g => g.IsHealthy));
        policy.Advance(60);
        Assert.True(policy.Policy.IsOutage);

        policy.Say(B, GatewayHealth.Passing);
        Assert.False(policy.Policy.IsOutage);
        policy.Advance(14);
        policy.SayAll(GatewayHealth.Passing, A, C);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    /// <summary>A roll-out to other gateways, or maintenance of the last one.</summary>
    [Fact]
    public void Members_that_are_removed_or_in_maintenance_are_no_outage()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.Configure(C, D);
        Assert.False(policy.Policy.IsOutage);
        policy.SayAll(GatewayHealth.Passing, C, D);
        policy.Advance(6.1);
        policy.SayAll(GatewayHealth.Maintenance, C, D);
        policy.Advance(6.1);
        Assert.False(policy.Policy.IsOutage);
    }

    [Fact]
    public void Without_a_settle_time_the_reason_is_that_of_now()
    {
        PolicyHarness policy = Healthy(new MembershipOptions { Settle = TimeSpan.Zero }, A, B, C);
        policy.Say(A, GatewayHealth.Critical, "connection refused");
        policy.Advance(0.1);
        Assert.Equal($"left: {A} (connection refused)", policy.Rings[^1].Decision.Reason);
    }

    [Fact]
    public void Without_holds_an_outage_of_all_ends_with_the_first_that_recovers()
    {
        PolicyHarness policy = Healthy(new MembershipOptions { MassLossRatio = 1 }, A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Advance(60);
        policy.Say(A, GatewayHealth.Passing);
        policy.Advance(1.1);
        Assert.Equal(A, policy.Ring);
    }

    [Fact]
    public void Maintenance_drains_without_a_hold_and_returns_after_admission()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Maintenance, A, B);
        Assert.Equal(GatewayState.Draining, policy.Status(A).State);
        policy.Advance(1);
        Assert.Equal(C, policy.Ring);
        Assert.Equal(RingChangeCause.Drain, policy.Rings[^1].Decision.Cause);
        Assert.Equal(GatewayState.Draining, policy.Status(A).State);
        policy.SayAll(GatewayHealth.Passing, A, B);
        policy.Advance(6);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
    }

    [Fact]
    public void A_gateway_taken_out_by_an_operator_does_not_count_as_lost()
    {
        PolicyHarness policy = Healthy(A, B, C, D);
        policy.SayAll(GatewayHealth.Maintenance, A);
        policy.Advance(2);
        policy.Say(B, GatewayHealth.Critical);
        policy.Advance(1);
        Assert.Equal($"{C},{D}", policy.Ring);
    }

    [Fact]
    public void A_reload_removes_at_once_and_admits_after_a_delay()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Configure(C, D);
        Assert.Equal(C, policy.Ring);
        Assert.Equal(RingChangeCause.Reload, policy.Rings[^1].Decision.Cause);
        Assert.Equal(GatewayState.Out, policy.Status(D).State);
        policy.Prune(A, B);
        policy.Say(D, GatewayHealth.Passing);
        policy.Advance(6);
        Assert.Equal($"{C},{D}", policy.Ring);
        Assert.Equal([C, D], policy.Policy.Statuses().Select(g => g.Address));
    }

    [Fact]
    public void A_report_from_before_the_reload_brings_no_gateway_back()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Configure(B, C);
        policy.Report();
        policy.Advance(60);
        Assert.Equal($"{B},{C}", policy.Ring);

        // Gone, and then registered by something else: a gateway like any other.
        policy.Prune(A);
        policy.Say(A, GatewayHealth.Passing, foreign: true);
        policy.Advance(6);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
    }

    [Fact]
    public void A_removed_gateway_stays_out_while_another_instance_registers_it_again()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Configure(B, C);
        for (int i = 0; i < 3; i++)
        {
            policy.Prune(A);
            policy.Advance(300);
            policy.Say(A, GatewayHealth.Unknown);
            policy.Advance(2);
            policy.Say(A, GatewayHealth.Passing);
            policy.Advance(300);
        }

        Assert.Equal($"{B},{C}", policy.Ring);
        Assert.Equal(1, policy.Changes);
        Assert.Equal(GatewayState.Out, policy.Status(A).State);
        Assert.Equal("removed from the configuration, still registered for another instance", policy.Status(A).Reason);

        // The last instance has reloaded: the gateway is neither listed nor remembered forever.
        policy.Prune(A);
        policy.Advance(1);
        Assert.DoesNotContain(policy.Policy.Statuses(), static g => g.Address == A);
        policy.Advance(600);
        policy.Report();
        policy.Say(A, GatewayHealth.Passing);
        policy.Advance(9);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
    }

    [Fact]
    public void A_removed_gateway_returns_when_the_file_names_it_again()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Configure(B, C);
        policy.Report();
        policy.Advance(60);
        policy.Configure(A, B, C);
        policy.Advance(9);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        Assert.Equal(2, policy.Changes);
    }

    [Fact]
    public void A_gateway_that_others_register_stays_when_the_file_no_longer_names_it()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(A, GatewayHealth.Passing, foreign: true);
        policy.Configure(B, C);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void A_file_that_no_longer_names_any_gateway_leaves_the_ring_to_the_reports()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.VerdictTimeout = PolicyHarness.ConsulVerdictTimeout;
        policy.Configure();
        policy.SayAll(GatewayHealth.Passing, A, B, C);
        policy.Advance(60);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        Assert.Equal(1, policy.Changes);
    }

    [Fact]
    public void A_reload_that_replaces_every_gateway_waits_for_the_first_new_one()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.Configure(C, D);
        Assert.Equal($"{A},{B}", policy.Ring);
        Assert.Equal(GatewayState.Leaving, policy.Status(A).State);
        policy.SayAll(GatewayHealth.Passing, C, D);
        policy.Advance(6);
        Assert.Equal($"{C},{D}", policy.Ring);
    }

    [Fact]
    public void The_first_response_takes_effect_at_once()
    {
        var policy = new PolicyHarness(null, A, B, C);
        policy.Adopt((A, GatewayHealth.Passing), (B, GatewayHealth.Critical), (C, GatewayHealth.Unknown), (D, GatewayHealth.Passing));
        Assert.Equal($"{A},{C},{D}", policy.Ring);
        Assert.Equal(RingChangeCause.FirstAnswer, policy.Rings[^1].Decision.Cause);
        Assert.Equal(0, policy.Now);
    }

    [Fact]
    public void Fresh_registrations_do_not_reshard()
    {
        var policy = new PolicyHarness(null, A, B, C);
        policy.Adopt((A, GatewayHealth.Unknown));
        policy.Advance(1);
        policy.SayAll(GatewayHealth.Unknown, B, C);
        policy.Say(B, GatewayHealth.Passing);
        policy.Advance(4);
        policy.SayAll(GatewayHealth.Passing, A, C);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void A_gateway_without_a_verdict_leaves_after_a_timeout()
    {
        var policy = new PolicyHarness(null, A, B, C);
        policy.Adopt((A, GatewayHealth.Passing), (B, GatewayHealth.Passing));
        Assert.False(policy.Policy.HasVerdict);
        policy.Advance(12.9);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        policy.Advance(0.1);
        Assert.Equal($"{A},{B}", policy.Ring);
        Assert.True(policy.Policy.HasVerdict);
    }

    [Fact]
    public void An_interruption_stops_the_clocks_of_leaving_and_joining()
    {
        var policy = new PolicyHarness(null, A, B, C);
        policy.Adopt((A, GatewayHealth.Passing), (B, GatewayHealth.Passing), (C, GatewayHealth.Unknown));
        policy.Advance(11);
        policy.Interrupt();
        policy.Advance(600);
        policy.Report();
        policy.Advance(11);
        Assert.Equal(0, policy.Changes);
        policy.Advance(2);
        Assert.Equal($"{A},{B}", policy.Ring);
    }

    /// <summary>Two of three turn critical at 0 s, no report from 3 s to 43 s, still critical: seen for 3 s, and 17 more are needed.</summary>
    [Fact]
    public void An_interruption_stops_the_clock_of_a_hold()
    {
        PolicyHarness policy = Healthy(new MembershipOptions { MassLossHold = TimeSpan.FromSeconds(20) }, A, B, C);
        double begin = policy.Now;
        policy.SayAll(GatewayHealth.Critical, A, B);
        policy.Advance(3);
        policy.Interrupt();
        policy.Advance(40);
        policy.Report();
        policy.Advance(16.9);
        Assert.Equal(0, policy.Changes);
        Assert.Equal(GatewayState.Held, policy.Status(A).State);
        policy.Advance(10);
        Assert.Equal(C, policy.Ring);
        Assert.InRange(policy.Rings[^1].At - begin, 60, 60 + policy.Options.Settle.TotalSeconds);
    }

    /// <summary>A joiner that passed for 1 s before the interruption does not join right after it.</summary>
    [Fact]
    public void An_interruption_stops_the_clock_of_admission()
    {
        PolicyHarness policy = Healthy(A, B);
        double begin = policy.Now;
        policy.Say(D, GatewayHealth.Passing);
        policy.Advance(1);
        policy.Interrupt();
        policy.Advance(40);
        policy.Report();
        policy.Advance(3.9);
        Assert.Equal(0, policy.Changes);
        policy.Advance(10);
        Assert.Equal($"{A},{B},{D}", policy.Ring);
        Assert.InRange(policy.Rings[^1].At - begin, 45, 45 + policy.Options.Settle.TotalSeconds);
    }

    /// <summary>The same without any error: the responses stop at 3 s and return at 43 s.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_silence_without_an_error_stops_the_clock_of_a_hold(bool isNoticed)
    {
        PolicyHarness policy = Healthy(new MembershipOptions { MassLossHold = TimeSpan.FromSeconds(20) }, A, B, C);
        policy.MustBeFresh = true;
        policy.Report();
        double begin = policy.Now;
        policy.SayAll(GatewayHealth.Critical, A, B);
        policy.Hear(3);
        policy.Advance(20);
        if (isNoticed) policy.Interrupt();
        policy.Advance(20);
        Assert.Equal(0, policy.Changes);
        policy.Report();
        policy.Hear(14);
        Assert.Equal(0, policy.Changes);
        Assert.Equal(GatewayState.Held, policy.Status(A).State);
        policy.Hear(10);
        Assert.Equal(C, policy.Ring);
        Assert.InRange(policy.Rings[^1].At - begin, 59, 61); // a report counts for a moment after it
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_silence_without_an_error_stops_the_clock_of_admission(bool isNoticed)
    {
        PolicyHarness policy = Healthy(A, B);
        policy.MustBeFresh = true;
        policy.Report();
        double begin = policy.Now;
        policy.Say(D, GatewayHealth.Passing);
        policy.Hear(1);
        policy.Advance(20);
        if (isNoticed) policy.Interrupt();
        policy.Advance(20);
        policy.Configure(A, B);
        Assert.Equal(0, policy.Changes);
        policy.Report();
        policy.Hear(2);
        Assert.Equal(0, policy.Changes);
        policy.Hear(10);
        Assert.Equal($"{A},{B},{D}", policy.Ring);
        Assert.InRange(policy.Rings[^1].At - begin, 44, 46);
    }

    /// <summary>The default settle time is over before a report gets stale. A longer one needs another report.</summary>
    [Theory]
    [InlineData(1, true)]
    [InlineData(3, false)]
    public void A_loss_settles_without_another_report_unless_it_takes_longer_than_one_counts(double settle, bool changes)
    {
        PolicyHarness policy = Healthy(new MembershipOptions { Settle = TimeSpan.FromSeconds(settle) }, A, B, C);
        policy.MustBeFresh = true;
        policy.Say(A, GatewayHealth.Critical);
        policy.Report();
        policy.Advance(30);
        Assert.Equal(changes ? 1 : 0, policy.Changes);
        policy.Hear(4);
        Assert.Equal($"{B},{C}", policy.Ring);
    }

    /// <summary>While every gateway is critical nothing is pending, and a silence still does not count.</summary>
    [Fact]
    public void A_silence_while_no_gateway_is_healthy_does_not_age_the_losses()
    {
        PolicyHarness policy = Healthy(new MembershipOptions { MassLossHold = TimeSpan.FromSeconds(20) }, A, B, C);
        policy.MustBeFresh = true;
        policy.Report();
        policy.SayAll(GatewayHealth.Critical, A, B, C);
        policy.Hear(3);
        policy.Advance(60);
        policy.Say(C, GatewayHealth.Passing);
        policy.Hear(10);
        Assert.Equal(0, policy.Changes);
        policy.Hear(15);
        Assert.Equal(C, policy.Ring);
    }

    /// <summary>With nothing pending a source may be quiet for minutes.</summary>
    [Fact]
    public void A_quiet_source_with_nothing_pending_delays_nothing()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.MustBeFresh = true;
        policy.Report();
        policy.Advance(300);
        double begin = policy.Now;
        policy.Say(A, GatewayHealth.Critical);
        policy.Hear(3);
        Assert.Equal($"{B},{C}", policy.Ring);
        Assert.InRange(policy.Rings[^1].At - begin, 1, 2);
    }

    [Fact]
    public void An_interruption_stops_the_clock_of_settling()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.Say(A, GatewayHealth.Critical);
        policy.Advance(policy.Options.Settle.TotalSeconds / 2);
        policy.Interrupt();
        policy.Advance(600);
        Assert.Equal(0, policy.Changes);
        Assert.Null(policy.Policy.NextDeadline);

        // It came back during the interruption: it never left.
        policy.Say(A, GatewayHealth.Passing);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void An_interruption_does_not_end_a_hold()
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Critical, A, B);
        policy.Advance(3);
        policy.Interrupt();
        policy.Advance(600);
        Assert.Equal(0, policy.Changes);
        policy.SayAll(GatewayHealth.Passing, A, B);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void A_gateway_of_others_is_forgotten_after_it_leaves()
    {
        var policy = new PolicyHarness(null, A);
        policy.Adopt((A, GatewayHealth.Passing), (D, GatewayHealth.Passing));
        Assert.Equal($"{A},{D}", policy.Ring);
        policy.Prune(D);
        policy.Advance(13);
        Assert.Equal(A, policy.Ring);
        policy.Advance(1);
        Assert.Single(policy.Policy.Statuses());
    }

    [Fact]
    public void An_overloaded_gateway_is_a_member_and_shows_it()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.Say(A, GatewayHealth.Passing, "status 500: write queue is full", overloaded: true);
        policy.Advance(60);
        Assert.Equal(0, policy.Changes);
        Assert.True(policy.Status(A).Overloaded);
        Assert.Equal(GatewayState.Member, policy.Status(A).State);
    }

    [Fact]
    public void Without_a_configured_list_the_first_response_is_the_first_ring()
    {
        var policy = new PolicyHarness();
        Assert.Empty(policy.Rings);
        policy.Adopt((A, GatewayHealth.Passing));
        Assert.Equal(A, policy.Ring);
    }

    [Fact]
    public void A_gateway_that_is_not_allowed_never_joins_and_is_listed()
    {
        PolicyHarness policy = Healthy(A, B);
        Allow(policy, AllowedGateways.Configured, A, B);
        policy.Say(C, GatewayHealth.Passing, "ok");
        policy.Advance(600);
        Assert.Equal(0, policy.Changes);
        Assert.Equal(GatewayState.Refused, policy.Status(C).State);
        Assert.Contains("membership.allow", policy.Status(C).Reason, StringComparison.Ordinal);
        Assert.Null(policy.Policy.NextDeadline);
        policy.Prune(C);
        Assert.DoesNotContain(policy.Policy.Statuses(), static s => s.Address == C);
    }

    [Fact]
    public void A_gateway_that_is_not_allowed_does_not_join_with_the_first_response()
    {
        var policy = new PolicyHarness(new MembershipOptions { Allow = AllowedGateways.Configured }, A, B);
        policy.Adopt((A, GatewayHealth.Passing), (B, GatewayHealth.Passing), (C, GatewayHealth.Passing));
        policy.Advance(600);
        Assert.Equal($"{A},{B}", policy.Ring);
        Assert.Equal(0, policy.Changes);
    }

    [Fact]
    public void A_stricter_reload_removes_members_at_once_and_a_wider_one_lets_them_join()
    {
        PolicyHarness policy = Healthy(A, B);
        policy.SayAll(GatewayHealth.Passing, C, D);
        policy.Advance(10);
        Assert.Equal($"{A},{B},{C},{D}", policy.Ring);

        Allow(policy, AllowedGateways.Configured, A, B);
        Assert.Equal($"{A},{B}", policy.Ring);
        Assert.Equal(RingChangeCause.Reload, policy.Rings[^1].Decision.Cause);
        Assert.Equal($"not allowed by membership.allow: {C}, {D}", policy.Rings[^1].Decision.Reason);
        Assert.Equal(GatewayState.Refused, policy.Status(C).State);
        int changes = policy.Changes;
        policy.Report();
        policy.Advance(60);
        Assert.Equal(changes, policy.Changes);

        Allow(policy, AllowedGateways.Any, A, B);
        Assert.Equal(GatewayState.Joining, policy.Status(C).State);
        policy.Advance(10);
        Assert.Equal($"{A},{B},{C},{D}", policy.Ring);
        Assert.Equal(RingChangeCause.Join, policy.Rings[^1].Decision.Cause);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_refused_gateway_does_not_count_as_lost(bool isForgotten)
    {
        PolicyHarness policy = Healthy(A, B, C);
        policy.SayAll(GatewayHealth.Passing, D, "e:1");
        policy.Advance(30);
        Allow(policy, AllowedGateways.Configured, A, B, C);
        Assert.Equal($"{A},{B},{C}", policy.Ring);
        if (isForgotten) policy.Prune(D, "e:1");

        // One of three is lost. With the two refused ones it would be three of five, and held.
        policy.Say(B, GatewayHealth.Critical, "refused connection");
        policy.Advance(1);
        Assert.Equal($"{A},{C}", policy.Ring);
        Assert.Equal(RingChangeCause.Loss, policy.Rings[^1].Decision.Cause);
    }

    [Fact]
    public void When_no_member_is_allowed_any_more_the_configured_gateways_are_the_ring()
    {
        PolicyHarness policy = Healthy(A);
        policy.Say(C, GatewayHealth.Passing);
        policy.Advance(10);
        policy.Say(A, GatewayHealth.Critical);
        policy.Advance(20);
        Assert.Equal(C, policy.Ring);
        Allow(policy, AllowedGateways.Configured, A);
        Assert.Equal(A, policy.Ring);
    }

    [Fact]
    public void When_no_gateway_is_allowed_there_is_no_ring_until_one_is()
    {
        var policy = new PolicyHarness();
        policy.Adopt((C, GatewayHealth.Passing));
        Assert.Equal(C, policy.Ring);
        AllowedGateways.TryParse("d", out AllowedGateways.Rule rule);
        Allow(policy, AllowedGateways.Of([rule]));
        Assert.Equal("", policy.Ring);
        policy.Advance(60);
        Assert.Equal("", policy.Ring);
        policy.Say(D, GatewayHealth.Passing);
        policy.Advance(10);
        Assert.Equal(D, policy.Ring);
    }

    private static void Allow(PolicyHarness policy, AllowedGateways allow, params string[] servers)
    {
        policy.Options = policy.Options with { Allow = allow };
        policy.Configure(servers);
    }

    private static PolicyHarness Healthy(params string[] servers) => Healthy(null, servers);

    private static PolicyHarness Healthy(MembershipOptions? options, params string[] servers)
    {
        var policy = new PolicyHarness(options, servers);
        policy.SayAll(GatewayHealth.Passing, servers);
        policy.Advance(60);
        return policy;
    }
}
