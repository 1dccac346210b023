using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class GatewayCopiesTests
{
    private const string Gateway = "10.0.0.1:9091";

    [Fact]
    public void A_copy_is_a_row_of_this_program_on_a_live_agent()
    {
        GatewayCopies copies = Of(
            CopyRows.Row(Gateway, "n0"),
            CopyRows.Row(Gateway, "n1", status: "critical", output: "refused"),
            CopyRows.Row(Gateway, "n2", serf: "critical"),
            CopyRows.Row(Gateway, "n3", isMarked: false),
            CopyRows.Row(Gateway, "n4", maintenance: HealthStatus.NodeMaintenance),
            CopyRows.Row("10.0.0.2:9091", "n0"));
        Assert.Equal(2, copies.Count(Gateway));
        Assert.Equal(1, copies.Count("10.0.0.2:9091"));
        Assert.Equal(0, copies.Count("10.0.0.3:9091"));
        Assert.False(copies.IsDraining(Gateway));
        Assert.Equal(0, GatewayCopies.None.Count(Gateway));
    }

    [Fact]
    public void A_row_without_its_check_is_no_copy_where_gateways_are_checked()
    {
        ServiceEntry row = CopyRows.Row(Gateway, "n1");
        ServiceEntry[] rows = [CopyRows.Row(Gateway, "n0"), row with { Checks = [.. row.Checks!.Where(static check => check.ServiceID == "")] }];
        GatewayCopies copies = Of(rows);
        Assert.Equal(1, copies.Count(Gateway));
        Assert.True(copies.IsUnchecked(Gateway));
        copies = GatewayCopies.Of(rows, ShardingKey.Group, needsCheck: false);
        Assert.Equal(2, copies.Count(Gateway));
        Assert.False(copies.IsUnchecked(Gateway));
    }

    [Fact]
    public void A_row_in_another_spelling_is_no_copy() =>
        Assert.Equal(1, Of(CopyRows.Row("pgw:9091", "n0"), CopyRows.Row("PGW:9091", "n0"), CopyRows.Row("pgw.:9091", "n1")).Count("pgw:9091"));

    [Fact]
    public void Maintenance_of_one_copy_is_a_drain() =>
        Assert.True(Of(CopyRows.Row(Gateway, "n0"), CopyRows.Row(Gateway, "n1", maintenance: "_service_maintenance:10.0.0.1_9091")).IsDraining(Gateway));

    [Theory]
    [InlineData("critical", "refused", true)]
    [InlineData("critical", "", false)]
    [InlineData("passing", "OK", false)]
    public void Copies_fail_when_each_one_has_found_the_gateway_dead(string status, string output, bool fail)
    {
        Assert.Equal(fail, Of(CopyRows.Row(Gateway, "n0", "critical", "timeout"), CopyRows.Row(Gateway, "n1", status, output)).IsFailing(Gateway));
        Assert.False(GatewayCopies.None.IsFailing(Gateway));
    }

    [Fact]
    public void Of_any_number_of_copies_the_same_two_stay_and_they_differ_from_gateway_to_gateway()
    {
        string[] nodes = ["n0", "n1", "n2", "n3"];
        HashSet<string> staying = [];
        for (int i = 0; i < 20; i++)
        {
            string gateway = $"10.0.0.{i}:9091";
            string[] stay = [.. nodes.Where(node => !Of([.. nodes.Select(n => CopyRows.Row(gateway, n))]).IsSurplus(gateway, node))];
            Assert.Equal(2, stay.Length);
            Assert.Equal(stay, nodes.Where(node => !Of([.. nodes.Reverse().Select(n => CopyRows.Row(gateway, n))]).IsSurplus(gateway, node)));
            staying.UnionWith(stay);
        }

        Assert.Equal(4, staying.Count);
    }

    [Fact]
    public void Two_copies_are_never_too_many() => Assert.False(Of(CopyRows.Row(Gateway, "n0"), CopyRows.Row(Gateway, "n1")).HasSurplus(Gateway));

    public static TheoryData<string, string, string, long, string?> Odd => new()
    {
        { "critical", "refused", "passing", 1, null },
        { "critical", "", "passing", 1, null },
        { "passing", "", "passing", 1, null },
        { "passing", "OK", "critical", 1, null },
        { "passing", "OK", "passing", 3, null },
        { "passing", "OK", "passing", 1, "_service_maintenance:10.0.0.1_9091" },
        { "critical", "HTTP GET: 500 Output: write queue is full", "passing", 1, null },
    };

    [Theory, MemberData(nameof(Odd))]
    public void Nothing_is_too_many_where_one_copy_differs(string status, string output, string serf, long weight, string? maintenance) =>
        Assert.False(Of(
            CopyRows.Row(Gateway, "n0"),
            CopyRows.Row(Gateway, "n1"),
            CopyRows.Row(Gateway, "n2", status, output, serf, weight: weight, maintenance: maintenance)).HasSurplus(Gateway));

    private static GatewayCopies Of(params ServiceEntry[] rows) => GatewayCopies.Of(rows, ShardingKey.Group, needsCheck: true);
}
