using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Ring;

public sealed class GoldenVectorTests
{
    [Theory]
    [InlineData("ring-3.tsv", 3, 1000)]
    [InlineData("ring-7.tsv", 7, 1000)]
    [InlineData("ring-200.tsv", 200, 1500)]
    [InlineData("ring-1000.tsv", 1000, 1500)]
    public void Every_path_has_the_originals_owner_in_both_key_modes(string file, int nodes, int keys)
    {
        GoldenVectors vectors = GoldenVectors.Read(file);
        Assert.Equal(nodes, vectors.Nodes.Length);
        Assert.Equal(keys, vectors.Keys.Length);
        HashRing<Gateway> ring = TestRing.Build(vectors.Nodes);
        GroupingKey[] modes = [new(ShardingKey.Group, 8192), new(ShardingKey.Path, 8192)];
        foreach ((string path, string owner) in vectors.Keys)
        {
            foreach (GroupingKey key in modes)
            {
                Assert.Equal(GroupResult.Group, key.Compute(Encoding.UTF8.GetBytes(path), out _));
                Assert.Equal(owner, ring.Find(key.Hash).Address);
            }
        }
    }
}

/// <summary>Lookups of the original; see Golden/RECIPE.md.</summary>
internal sealed record GoldenVectors(string[] Nodes, (string Path, string Owner)[] Keys)
{
    public static GoldenVectors Read(string name)
    {
        string[][] rows = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Golden", name))
            .Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))];
        return new GoldenVectors(
            [.. rows.Where(row => row[0] == "node").Select(row => row[1])],
            [.. rows.Where(row => row[0] != "node").Select(row => (row[0], row[1]))]);
    }
}
