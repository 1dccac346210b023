using System.Globalization;
using System.Text;
using CsCheck;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Ring;

public sealed class HashRingTests
{
    private static readonly Gen<uint[]> Hashes = Uniform(1000);

    [Fact]
    public void An_added_gateway_takes_about_its_share_and_nothing_else_moves() =>
        Gen.Select(Gen.Int[1, 60], Hashes).Sample((count, hashes) =>
        {
            string[] addresses = TestRing.Addresses(count + 1);
            string added = addresses[hashes[0] % (uint)addresses.Length];
            HashRing<Gateway> before = TestRing.Build(addresses.Where(a => a != added));
            HashRing<Gateway> after = TestRing.Build(addresses);
            foreach (uint hash in hashes)
            {
                string owner = after.Find(hash).Address;
                Assert.True(owner == before.Find(hash).Address || owner == added);
            }

            // 500 points give a share a relative deviation of 1/sqrt(500), 4.5 %; this is five of them.
            Assert.InRange(HashRing<Gateway>.MovedRatio(before, after) * (count + 1), 0.78, 1.22);
        }, iter: 60);

    [Fact]
    public void Only_a_removed_gateways_keys_move_and_they_move_to_the_runner_up() =>
        Gen.Select(Gen.Int[2, 60], Hashes).Sample((count, hashes) =>
        {
            string[] addresses = TestRing.Addresses(count);
            string removed = addresses[hashes[0] % (uint)count];
            HashRing<Gateway> before = TestRing.Build(addresses);
            HashRing<Gateway> after = TestRing.Build(addresses.Where(a => a != removed));
            foreach (uint hash in hashes)
            {
                Gateway owner = before.Find(hash);
                string expected = owner.Address == removed ? before.FindRunnerUp(hash)!.Address : owner.Address;
                Assert.Equal(expected, after.Find(hash).Address);
            }
        }, iter: 60);

    [Fact]
    public void The_order_of_the_members_does_not_matter() =>
        Gen.Select(Gen.Shuffle(TestRing.Addresses(40)), Hashes).Sample((shuffled, hashes) =>
        {
            HashRing<Gateway> sorted = TestRing.Build(TestRing.Addresses(40), 50);
            HashRing<Gateway> ring = TestRing.Build(shuffled, 50);
            Assert.Equal(sorted.Fingerprint, ring.Fingerprint);
            Assert.All(hashes, hash => Assert.Equal(sorted.Find(hash).Address, ring.Find(hash).Address));
        }, iter: 50);

    [Fact]
    public void The_owner_is_that_of_the_first_greater_point_and_a_later_member_keeps_a_colliding_one() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 200], Hashes).Sample((count, replicas, hashes) =>
        {
            string[] addresses = TestRing.Addresses(count);
            HashRing<Gateway> ring = TestRing.Build(addresses, replicas);
            AssertSameAsModel(ring, RingModel.Points(addresses, replicas), hashes);
        }, iter: 60);

    [Fact]
    public void A_thousand_gateways_with_colliding_points_follow_the_same_rule()
    {
        string[] addresses = TestRing.Addresses(1000);
        HashRing<Gateway> ring = TestRing.Build(addresses);
        SortedDictionary<uint, string> model = RingModel.Points(addresses, 500);
        Assert.True(model.Count < 500_000, "no points collide");
        uint[] around = [.. model.Keys.SelectMany(point => new[] { point - 1, point, point + 1 })];
        AssertSameAsModel(ring, model, around);
    }

    [Fact]
    public void Shares_and_moved_space_agree_with_counting() =>
        Gen.Select(Gen.Int[1, 30], Gen.Int[1, 30], Gen.Int[1, 3], Uniform(4000)).Sample((first, second, replicas, hashes) =>
        {
            HashRing<Gateway> before = TestRing.Build(TestRing.Addresses(40).Take(first), replicas);
            HashRing<Gateway> after = TestRing.Build(TestRing.Addresses(40).Skip(40 - second), replicas);
            double[] shares = before.OwnershipRatios();
            Assert.Equal(1, shares.Sum(), 12);
            double moved = hashes.Count(hash => before.Find(hash).Address != after.Find(hash).Address) / 4000.0;
            Assert.InRange(HashRing<Gateway>.MovedRatio(before, after), moved - 0.05, moved + 0.05);
            double counted = hashes.Count(hash => before.Find(hash) == before.Members[0]) / 4000.0;
            Assert.InRange(shares[0], counted - 0.05, counted + 0.05);
        }, iter: 100);

    [Fact]
    public void The_same_ring_moves_nothing_and_one_with_nobody_in_common_moves_all()
    {
        HashRing<Gateway> ring = TestRing.Build(TestRing.Addresses(10));
        Assert.Equal(0, HashRing<Gateway>.MovedRatio(ring, TestRing.Build(TestRing.Addresses(10))));
        Assert.Equal(1, HashRing<Gateway>.MovedRatio(ring, TestRing.Build(["other:9091"])));
    }

    [Fact]
    public void A_ring_of_one_owns_everything_and_has_no_runner_up()
    {
        HashRing<Gateway> ring = TestRing.Build(["a:9091"], replicas: 1);
        Assert.Equal([1.0], ring.OwnershipRatios());
        foreach (uint hash in new[] { 0u, 1u, uint.MaxValue })
        {
            Assert.Equal("a:9091", ring.Find(hash).Address);
            Assert.Null(ring.FindRunnerUp(hash));
        }
    }

    [Fact]
    public void The_fingerprint_depends_on_members_replicas_and_key_mode()
    {
        Gateway[] gateways = [TestRing.Gateway("b:9091"), TestRing.Gateway("a:9091")];
        string fingerprint = HashRing<Gateway>.Build(gateways, 500, "group").Fingerprint;

        // printf 'a:9091,b:9091\n500\ngroup' | sha256sum | cut -c1-16
        Assert.Equal("76ca0f1fdc86dec8", fingerprint);
        Assert.NotEqual(fingerprint, HashRing<Gateway>.Build(gateways, 500, "path").Fingerprint);
        Assert.NotEqual(fingerprint, HashRing<Gateway>.Build(gateways, 501, "group").Fingerprint);
        Assert.NotEqual(fingerprint, HashRing<Gateway>.Build(gateways[..1], 500, "group").Fingerprint);
    }

    [Fact]
    public void No_members_or_no_replicas_are_refused()
    {
        Assert.Throws<ArgumentException>(() => TestRing.Build([]));
        Assert.Throws<ArgumentOutOfRangeException>(() => TestRing.Build(["a:9091"], 0));
    }

    [Fact]
    public void Too_many_points_are_refused_before_any_is_made()
    {
        string[] addresses = TestRing.Addresses(101);
        Assert.Throws<InvalidOperationException>(() => TestRing.Build(addresses, 100_000));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InvalidOperationException>(() => TestRing.Build(addresses, 100_000));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void A_ring_has_as_many_points_as_the_configuration_allows() => Assert.Equal(ShardingOptions.MaxPoints, RingPoints.MaxPoints);

    /// <summary>CsCheck's own integers prefer small ones, and hashes do not.</summary>
    private static Gen<uint[]> Uniform(int count) => Gen.Int.Select(seed =>
    {
        var random = new Random(seed);
        return Enumerable.Range(0, count).Select(_ => (uint)random.NextInt64(1L << 32)).ToArray();
    });

    private static void AssertSameAsModel(HashRing<Gateway> ring, SortedDictionary<uint, string> model, uint[] hashes)
    {
        uint[] points = [.. model.Keys];
        string[] owners = [.. model.Values];
        foreach (uint hash in hashes)
        {
            int i = Array.BinarySearch(points, hash);
            i = i >= 0 ? i + 1 : ~i;
            if (owners[i % owners.Length] != ring.Find(hash).Address) Assert.Fail($"hash {hash}: {ring.Find(hash).Address}");
        }
    }
}

/// <summary>The ring's definition in its simplest form, to compare with the fast one.</summary>
internal static class RingModel
{
    public static SortedDictionary<uint, string> Points(IEnumerable<string> addresses, int replicas)
    {
        var points = new SortedDictionary<uint, string>();
        foreach (string address in addresses.Order(StringComparer.Ordinal))
        {
            for (int i = 0; i < replicas; i++)
            {
                points[MurmurHash3.Hash32(Encoding.UTF8.GetBytes(i.ToString(CultureInfo.InvariantCulture) + address))] = address;
            }
        }

        return points;
    }
}
