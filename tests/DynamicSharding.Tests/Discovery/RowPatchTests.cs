using DynamicSharding.Consul;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public class RowPatchTests
{
    private static readonly List<ServiceEntry> Known = [Row("n0", "passing", 5), Row("n1", "passing", 6), Row("n2", "critical", 7)];

    [Fact]
    public void Rows_that_fail_replace_those_of_the_last_list()
    {
        List<ServiceEntry>? rows = RowPatch.Apply(Known, [Row("n2", "critical", 7), Row("n0", "warning", 9)], 8, 9);
        Assert.Equal(["n0 warning", "n1 passing", "n2 critical"], rows!.Select(Text));
    }

    [Fact]
    public void A_row_that_passes_again_replaces_that_of_the_last_list()
    {
        List<ServiceEntry>? rows = RowPatch.Apply(Known, [Row("n0", "passing", 5), Row("n2", "passing", 9)], 8, 9);
        Assert.Equal(["n0 passing", "n1 passing", "n2 passing"], rows!.Select(Text));
    }

    [Fact]
    public void A_new_row_that_fails_is_added()
    {
        List<ServiceEntry>? rows = RowPatch.Apply(Known, [Row("n2", "critical", 7), Row("n3", "critical", 9)], 8, 9);
        Assert.Equal(["n0 passing", "n1 passing", "n2 critical", "n3 critical"], rows!.Select(Text));
    }

    /// <summary>A name brings the rows of all copies.</summary>
    [Fact]
    public void A_row_that_passes_as_before_stays()
    {
        List<ServiceEntry>? rows = RowPatch.Apply(Known, [Row("n0", "passing", 5), Row("n2", "critical", 7), Row("n1", "critical", 9)], 8, 9);
        Assert.Equal(["n0 passing", "n1 critical", "n2 critical"], rows!.Select(Text));
    }

    [Fact]
    public void A_new_row_with_an_older_check_of_its_own_needs_a_list()
    {
        ServiceEntry added = Row("n3", "critical", 9);
        Assert.NotNull(RowPatch.Apply(Known, [Row("n2", "critical", 7), added], 8, 9));
        added = added with { Checks = [.. added.Checks!, new HealthCheck("other", "passing", null, "a", null, 8)] };
        Assert.Null(RowPatch.Apply(Known, [Row("n2", "critical", 7), added], 8, 9));
    }

    [Fact]
    public void What_is_not_explained_needs_a_list()
    {
        ServiceEntry still = Row("n2", "critical", 7);
        Assert.Null(RowPatch.Apply(Known, [still], 8, 9)); // something else has changed
        Assert.Null(RowPatch.Apply(Known, [still, Row("n0", "critical", 9)], 8, 10)); // and something after it
        Assert.Null(RowPatch.Apply(Known, [Row("n0", "critical", 9)], 8, 9)); // a row passes again, or is gone
        Assert.Null(RowPatch.Apply(Known, [Row("n0", "critical", 9), Row("n2", "passing", 7)], 8, 9)); // one that the list knows better, which passes
        Assert.Null(RowPatch.Apply(Known, [still, Row("n0", "critical", 9), Row("n3", "critical", 8)], 8, 9)); // one that the list should have had
        Assert.Null(RowPatch.Apply(Known, [still, new ServiceEntry(new Node("n3", "a"), null, [new HealthCheck(HealthStatus.SerfHealth, "critical", null, "", null, 9)])], 8, 9)); // without a check of its own
        Assert.Null(RowPatch.Apply(Known, [Row("n2", "critical", 0), Row("n0", "critical", 0)], 8, 9)); // an agent that says no index
        Assert.Null(RowPatch.Apply(Known, [still, Row("n0", "critical", 9), Row("n0", "critical", 9)], 8, 9)); // twice
        Assert.Null(RowPatch.Apply(Known, [still, Row("n0", "critical", 9), Row("n1", "critical", 5)], 8, 9)); // one that the list knows better
        Assert.Null(RowPatch.Apply([], [], 8, 9));
    }

    [Theory]
    [InlineData("passing", "passing", false)]
    [InlineData("passing", "critical", true)]
    [InlineData("critical", "critical", false)]
    public void Copies_of_one_gateway_are_compared(string one, string other, bool disagree) =>
        Assert.Equal(disagree, RowPatch.CopiesDisagree([Row("n0", one, 1), Row("n1", other, 1)]));

    private static ServiceEntry Row(string node, string status, ulong index) => new(
        new Node(node, "10.0.0.1"),
        new AgentService("a", "pushgateway", "a", 1, null),
        [new HealthCheck(HealthStatus.SerfHealth, "passing", null, "", null, 3), new HealthCheck("c", status, null, "a", null, index)]);

    private static string Text(ServiceEntry row) => $"{row.Node!.Name} {row.Checks![^1].Status}";
}
