using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Ring;

public sealed class WeightTests
{
    [Fact]
    public void Every_path_has_the_owner_of_the_independent_program()
    {
        string[][] rows = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Golden", "ring-weights.tsv"))
            .Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))];
        Dictionary<string, int> weights = rows.Where(row => row[0] == "node").ToDictionary(row => row[1], row => int.Parse(row[2], System.Globalization.CultureInfo.InvariantCulture));
        string[][] keys = [.. rows.Where(row => row[0] != "node")];
        Assert.Equal((10, 1500), (weights.Count, keys.Length));
        Assert.Equal(weights.Count, keys.Select(row => row[1]).Distinct().Count());
        HashRing<Gateway> ring = Build(weights);
        foreach (string[] row in keys) Assert.Equal(row[1], ring.Find(MurmurHash3.Hash32(Encoding.UTF8.GetBytes(row[0]))).Address);
    }

    [Theory]
    [InlineData("ring-3.tsv")]
    [InlineData("ring-1000.tsv")]
    public void A_ring_of_weights_1_is_the_originals(string file)
    {
        GoldenVectors vectors = GoldenVectors.Read(file);
        HashRing<Gateway> ring = Build(vectors.Nodes.ToDictionary(node => node, _ => 1));
        var key = new GroupingKey(ShardingKey.Path, 8192);
        foreach ((string path, string owner) in vectors.Keys)
        {
            Assert.Equal(GroupResult.Group, key.Compute(Encoding.UTF8.GetBytes(path), out _));
            Assert.Equal(owner, ring.Find(key.Hash).Address);
        }

        Assert.Equal(TestRing.Build(vectors.Nodes).Fingerprint, ring.Fingerprint);
    }

    /// <summary>
    /// 300 fleets of 2 to 40 gateways of random weights, the same in every run. Of each the weight of one gateway is raised; read backwards, it is
    /// lowered.
    /// </summary>
    [Fact]
    public void Raising_a_weight_moves_groups_only_towards_that_gateway_by_the_share_that_the_weights_say()
    {
        var random = new Random(16);
        double worst = 0;
        for (int fleet = 0; fleet < 300; fleet++)
        {
            Dictionary<string, int> before = Enumerable.Range(0, random.Next(2, 41))
                .ToDictionary(i => $"10.{random.Next(256)}.{i}.{random.Next(256)}:9091", _ => random.Next(1, 8));
            string raised = before.Keys.ElementAt(random.Next(before.Count));
            Dictionary<string, int> after = new(before) { [raised] = random.Next(before[raised] + 1, 13) };
            HashRing<Gateway> ring = Build(before), next = Build(after);
            for (int i = 0; i < 2000; i++)
            {
                var hash = (uint)random.NextInt64(1L << 32);
                string owner = next.Find(hash).Address;
                Assert.True(owner == ring.Find(hash).Address || owner == raised, $"fleet {fleet}: a key moved to {owner} when {raised} was raised");
            }

            double moved = HashRing<Gateway>.MovedRatio(ring, next);
            double gained = Share(next, raised) - Share(ring, raised);
            Assert.Equal(gained, moved, 9);
            double expected = ((double)after[raised] / after.Values.Sum()) - ((double)before[raised] / before.Values.Sum());
            worst = Math.Max(worst, Math.Abs(gained - expected));
        }

        Assert.InRange(worst, 0, 0.03);
    }

    [Fact]
    public void The_shares_are_those_of_the_weights()
    {
        Dictionary<string, int> weights = TestRing.Addresses(20).Select((address, i) => (address, Weight: 1 + (i % 5))).ToDictionary(g => g.address, g => g.Weight);
        HashRing<Gateway> ring = Build(weights);
        Assert.Equal(500 * weights.Values.Sum(), ring.PointCount, 10.0);
        Assert.Equal(ring.Members.Select(member => weights[member.Address]), ring.Weights);
        Assert.All(weights, gateway => Assert.InRange(Share(ring, gateway.Key) * weights.Values.Sum() / gateway.Value, 0.85, 1.15));
    }

    [Fact]
    public void A_weight_other_than_1_is_part_of_the_fingerprint()
    {
        // printf 'a:9091=2,b:9091\n500\ngroup' | sha256sum | cut -c1-16
        Assert.Equal("4003b510abba6ac1", Build(new() { ["b:9091"] = 1, ["a:9091"] = 2 }).Fingerprint);
        Assert.NotEqual(Build(new() { ["b:9091"] = 2, ["a:9091"] = 1 }).Fingerprint, Build(new() { ["b:9091"] = 1, ["a:9091"] = 2 }).Fingerprint);
        Assert.Equal(TestRing.Build(["a:9091", "b:9091"]).Fingerprint, Build(new() { ["b:9091"] = 1, ["a:9091"] = 1 }).Fingerprint);
    }

    [Fact]
    public void The_bound_of_points_counts_weights()
    {
        Assert.Null(RingPoints.CheckCount(200, 20_000, 500));
        Assert.Equal(
            "200 gateways of weight 20001 together with 500 points each: a ring has at most 10000000 points", RingPoints.CheckCount(200, 20_001, 500));
        Assert.Throws<InvalidOperationException>(() => Build(TestRing.Addresses(201).ToDictionary(address => address, _ => 100)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Build(new() { ["a:9091"] = 0, ["b:9091"] = 1 }));
    }

    private static HashRing<Gateway> Build(Dictionary<string, int> weights) =>
        HashRing<Gateway>.Build(weights.Keys.Select(TestRing.Gateway), 500, "group", gateway => weights[gateway.Address]);

    private static double Share(HashRing<Gateway> ring, string address) => ring.OwnershipRatios()[ring.Members.Select(member => member.Address).ToList().IndexOf(address)];
}
