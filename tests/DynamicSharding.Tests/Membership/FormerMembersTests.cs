using DynamicSharding.Config;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Ring;

namespace DynamicSharding.Tests.Membership;

public sealed class FormerMembersTests
{
    [Fact]
    public void It_says_when_those_left_that_may_hold_groups()
    {
        var gone = new FormerMembers();
        HashRing<Gateway> three = TestRing.Build(["a", "b", "c"], replicas: 1), two = TestRing.Build(["a", "b"], replicas: 1), one = TestRing.Build(["a"], replicas: 1);
        gone.Update(null, three, 1);
        Assert.Empty(gone.LeftAt);
        gone.Update(three, two, 2);
        gone.Update(two, one, 3);
        Assert.Equal([("b", 3), ("c", 2)], gone.LeftAt.OrderBy(static former => former.Key).Select(static former => (former.Key, former.Value)));

        // It returns and leaves again; another is found empty, and stays so with later changes.
        gone.Emptied("c");
        gone.Emptied("never seen");
        gone.Update(one, two, 4);
        Assert.Empty(gone.LeftAt);
        gone.Update(two, one, 5);
        Assert.Equal([("b", 5L)], gone.LeftAt.Select(static former => (former.Key, former.Value)));
        gone.Update(one, three, 6);
        gone.Update(three, one, 7);
        Assert.Equal(["b", "c"], gone.LeftAt.Keys.Order());
    }

    [Fact]
    public void Those_that_the_operator_refuses_are_left_out_also_when_discovery_names_them_no_longer()
    {
        var gone = new FormerMembers();
        gone.Update(null, TestRing.Build(["a:1", "b:1", "c:1"], replicas: 1), 1);
        gone.Update(TestRing.Build(["a:1", "b:1", "c:1"], replicas: 1), TestRing.Build(["c:1"], replicas: 1), 2);
        Assert.False(gone.Judge([Status("a:1", GatewayState.Out)]));
        Assert.True(gone.Judge([Status("a:1", GatewayState.Refused)]));
        Assert.Equal(["b:1"], gone.LeftAt.Keys);
        Assert.False(gone.Judge([]));
        Assert.Equal(["b:1"], gone.LeftAt.Keys);

        // New rules judge those that nobody names; a removed gateway of the file is not refused as long as they stay the same.
        Assert.Null(AllowedGateways.TryParse("a", out AllowedGateways.Rule onlyA));
        gone.Apply(AllowedGateways.Of([onlyA]));
        Assert.Equal(["a:1"], gone.LeftAt.Keys);
        gone.Apply(AllowedGateways.Any);
        Assert.Equal(["a:1", "b:1"], gone.LeftAt.Keys.Order());
        Assert.Equal(2, gone.LeftAt["a:1"]);
    }

    private static GatewayStatus Status(string address, GatewayState state) => new(address, state, default, "", null, Overloaded: false);

    [Fact]
    public void The_oldest_are_forgotten_unless_they_returned()
    {
        var gone = new FormerMembers();
        HashRing<Gateway>? before = null;
        var forgotten = new List<string>();
        for (int i = 0; i < 6 * FormerMembers.Remembered; i++)
        {
            // With each change one gateway leaves for good, and another comes or goes.
            HashRing<Gateway> after = TestRing.Build([$"gw{i}", "stays", .. i % 2 == 0 ? (string[])["flaps"] : []], replicas: 1);
            forgotten.AddRange(gone.Update(before, after, i));
            before = after;
        }

        Assert.Equal(Enumerable.Range(0, forgotten.Count).Select(static i => $"gw{i}"), forgotten);
        Assert.InRange(6 * FormerMembers.Remembered - forgotten.Count, FormerMembers.Remembered, 2 * FormerMembers.Remembered + 2);
    }
}
