using System.Collections.Immutable;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public class ConsulHealthEvaluatorTests
{
    private const string Full = "HTTP GET http://a:9091/-/healthy: 500 Internal Server Error Output: write queue is full";

    [Theory]
    [InlineData("passing", "200 OK", nameof(GatewayHealth.Passing), false)]
    [InlineData("critical", "connection refused", nameof(GatewayHealth.Critical), false)]
    [InlineData("critical", "", nameof(GatewayHealth.Unknown), false)]
    [InlineData("critical", null, nameof(GatewayHealth.Unknown), false)]
    [InlineData("warning", "429", nameof(GatewayHealth.Critical), false)]
    [InlineData("critical", Full, nameof(GatewayHealth.Passing), true)]
    public void The_gateways_own_check_decides(string status, string? output, string health, bool overloaded)
    {
        GatewayVerdict verdict = Assert.Single(Evaluate(Row("a", Own(status, output), Serf("critical"))));
        Assert.Equal("a:9091", verdict.Address);
        Assert.Equal(health, verdict.Health.ToString());
        Assert.Equal(overloaded, verdict.Overloaded);
    }

    [Fact]
    public void A_full_queue_is_critical_if_configured() =>
        Assert.Equal(GatewayHealth.Critical, ConsulHealthEvaluator.Evaluate([Row("a", Own("critical", Full))], false, []).Single().Health);

    [Fact]
    public void A_service_without_a_check_passes_unproven() =>
        Assert.True(Evaluate(Row("a", Serf("passing"))).Single() is { Health: GatewayHealth.Passing, IsUnproven: true });

    [Theory]
    [InlineData("", true)]
    [InlineData(" \n", true)]
    [InlineData(null, true)]
    [InlineData("200 OK", false)]
    public void Passing_without_output_is_unproven(string? output, bool unproven) =>
        Assert.Equal(unproven, Evaluate(Row("a", Own("passing", output))).Single().IsUnproven);

    [Theory]
    [InlineData("passing", "ok", nameof(GatewayHealth.Passing))]
    [InlineData("critical", "refused", nameof(GatewayHealth.Critical))]
    public void A_checks_finding_beats_passing_without_output(string status, string output, string health)
    {
        ServiceEntry unproven = Row("a", Own("passing", "")), found = Row("a", Own(status, output));
        Assert.True(Evaluate(unproven, found).Single() is { IsUnproven: false } one && one.Health.ToString() == health);
        Assert.True(Evaluate(found, unproven).Single() is { IsUnproven: false } two && two.Health.ToString() == health);
    }

    [Theory]
    [InlineData("_node_maintenance", "")]
    [InlineData("_service_maintenance:a_9091", "a_9091")]
    public void Maintenance_of_the_node_or_the_service_drains(string check, string service) => Assert.Equal(
        GatewayHealth.Maintenance,
        Evaluate(Row("a", Own("passing", "ok"), new HealthCheck(check, "critical", "", service, "planned"))).Single().Health);

    [Theory]
    [InlineData(HealthStatus.NodeMaintenance, "passing", nameof(GatewayHealth.Unknown))]
    [InlineData(null, "critical", nameof(GatewayHealth.Unknown))]
    [InlineData("_service_maintenance:10.0.0.1_9091", "passing", nameof(GatewayHealth.Maintenance))]
    [InlineData(null, "passing", nameof(GatewayHealth.Passing))]
    public void Two_agents_that_are_away_say_nothing_about_their_gateway(string? maintenance, string serf, string health)
    {
        const string Gateway = "10.0.0.1:9091";
        ServiceEntry one = CopyRows.Row(Gateway, "n1", maintenance: HealthStatus.NodeMaintenance), other = CopyRows.Row(Gateway, "n2", serf: serf, maintenance: maintenance);
        Assert.Equal(health, Evaluate(one, other).Single().Health.ToString());

        // The copy that another agent writes has not been checked yet, then it has.
        Assert.Equal(health, Evaluate(one, other, CopyRows.Row(Gateway, "n3", "critical", "")).Single().Health.ToString());
        Assert.Equal(GatewayHealth.Passing, Evaluate(one, other, CopyRows.Row(Gateway, "n3")).Single().Health);
    }

    /// <summary>The second copy of a gateway follows its first one after up to 20 s. Meanwhile its only agent's machine may be taken out of service.</summary>
    [Theory]
    [InlineData("", nameof(GatewayHealth.Unknown))]
    [InlineData("connection refused", nameof(GatewayHealth.Maintenance))]
    public void Maintenance_of_one_agent_is_no_drain_while_another_takes_over(string output, string health) => Assert.Equal(
        health,
        Evaluate(CopyRows.Row("10.0.0.1:9091", "n1", maintenance: HealthStatus.NodeMaintenance), CopyRows.Row("10.0.0.1:9091", "n3", "critical", output))
            .Single().Health.ToString());

    [Fact]
    public void Maintenance_of_the_only_agent_with_a_copy_is_that_of_the_gateway() => Assert.Equal(
        GatewayHealth.Maintenance, Evaluate(CopyRows.Row("10.0.0.1:9091", "n1", maintenance: HealthStatus.NodeMaintenance)).Single().Health);

    [Fact]
    public void Other_checks_of_the_node_do_not_count() => Assert.Equal(
        GatewayHealth.Passing, Evaluate(Row("a", Own("passing", "ok"), new HealthCheck("disk", "critical", "full", ""))).Single().Health);

    [Fact]
    public void Any_passing_row_of_a_gateway_is_enough()
    {
        ServiceEntry unknown = Row("a", Own("critical", "")), passing = Row("a", Own("passing", "ok"));
        Assert.Equal(GatewayHealth.Passing, Evaluate(unknown, passing).Single().Health);
        Assert.Equal(GatewayHealth.Passing, Evaluate(passing, unknown).Single().Health);
    }

    [Fact]
    public void A_row_on_a_dead_node_counts_only_without_one_on_a_live_node()
    {
        ServiceEntry dead = Row("a", Own("passing", "ok"), Serf("critical")), live = Row("a", Own("critical", "refused"), Serf("passing"));
        Assert.Equal(GatewayHealth.Critical, Evaluate(dead, live).Single().Health);
        Assert.Equal(GatewayHealth.Critical, Evaluate(live, dead).Single().Health);
        Assert.Equal(GatewayHealth.Passing, Evaluate(dead).Single().Health);
    }

    [Fact]
    public void An_empty_address_is_the_nodes() => Assert.Equal(
        "10.0.0.9:9091", Evaluate(new ServiceEntry(new Node("n", "10.0.0.9"), new AgentService("x", "s", "", 9091, null), null)).Single().Address);

    [Theory]
    [InlineData("a\r\nSet-Cookie: x", 9091)]
    [InlineData("a b", 9091)]
    [InlineData("a/b", 9091)]
    [InlineData("a@b", 9091)]
    [InlineData("a:80", 9091)]
    [InlineData("[::1]", 9091)]
    [InlineData(null, 9091)]
    [InlineData("a", -1)]
    [InlineData("fe80::1%eth0", 9091)]
    [InlineData("ünïcode", 9091)]
    [InlineData("a", 0)]
    [InlineData("a", 65536)]
    [InlineData("a", 1L << 40)]
    public void What_cannot_be_an_address_is_skipped(string? host, long port)
    {
        var skipped = new List<string>();
        var row = new ServiceEntry(null, new AgentService("x", "s", host, port, null), null);
        Assert.Empty(ConsulHealthEvaluator.Evaluate([row], true, skipped));
        Assert.Single(skipped);
    }

    [Fact]
    public void An_ipv6_address_gets_its_brackets()
    {
        GatewayVerdict verdict = Evaluate(new ServiceEntry(null, new AgentService("x", "s", "2001:db8::1", 9091, null), null)).Single();
        Assert.Equal("[2001:db8::1]:9091", verdict.Address);
        Assert.Equal("2001:db8::1_9091", GatewayRegistration.Id(verdict.Address));
    }

    private static ImmutableArray<GatewayVerdict> Evaluate(params ServiceEntry[] rows) => ConsulHealthEvaluator.Evaluate(rows, true, []);

    private static ServiceEntry Row(string host, params HealthCheck[] checks) =>
        new(new Node("n", "10.0.0.9"), new AgentService(host + "_9091", "pushgateway", host, 9091, null), checks);

    private static HealthCheck Own(string status, string? output) => new("service:a_9091", status, output, "a_9091");

    private static HealthCheck Serf(string status) => new("serfHealth", status, "", "");
}
