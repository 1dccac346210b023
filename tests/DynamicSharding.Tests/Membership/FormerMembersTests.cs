using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Ring;

namespace DynamicSharding.Tests.Membership;

public sealed class FormerMembersTests
{
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
