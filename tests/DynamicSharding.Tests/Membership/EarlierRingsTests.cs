using System.Globalization;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Membership;

public sealed class EarlierRingsTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_ring_is_rebuilt_with_the_same_owners_and_weights()
    {
        HashRing<Gateway> ring = Ring(["c:1", "a:1", "b:1"], member => member.Address == "b:1" ? 3 : 1);
        EarlierRings earlier = new();
        earlier.Add(ring, Start);

        HashRing<RingMember> again = Assert.Single(earlier.All).Build(50, "group");
        Assert.Equal(ring.Fingerprint, again.Fingerprint);
        for (uint hash = 0; hash < 100_000; hash++) Assert.Equal(ring.Find(hash * 42_941).Address, again.Find(hash * 42_941).Name);
    }

    [Fact]
    public void It_is_kept_for_a_day_after_it_was_replaced_and_once()
    {
        HashRing<Gateway> one = Ring(["a:1"]), two = Ring(["a:1", "b:1"]);
        EarlierRings earlier = new();
        earlier.Add(one, Start);
        earlier.Add(two, Start.AddHours(1));
        earlier.Add(one, Start.AddHours(2));
        Assert.Equal([(one.Fingerprint, Start.AddHours(2)), (two.Fingerprint, Start.AddHours(1))], earlier.All.Select(ring => (ring.Fingerprint, ring.Until)));

        earlier.Add(Ring(["c:1"]), Start.AddHours(25.5));
        Assert.Equal([["c:1"], ["a:1"]], earlier.All.Select(ring => ring.Members.ToArray()));
    }

    [Fact]
    public void They_are_bounded()
    {
        EarlierRings earlier = new();
        for (int i = 0; i < 3 * EarlierRings.Most; i++) earlier.Add(Ring([string.Create(CultureInfo.InvariantCulture, $"g{i}:1")]), Start);
        Assert.Equal(EarlierRings.Most, earlier.All.Length);
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"g{(3 * EarlierRings.Most) - 1}:1"), Assert.Single(earlier.All[0].Members));
    }

    private static HashRing<Gateway> Ring(string[] members, Func<Gateway, int>? weightOf = null) =>
        HashRing<Gateway>.Build(members.Select(static member => new Gateway(member, [], [], new PerLoopCounter(1))), 50, "group", weightOf);
}
