using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Routing;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// Pushes pairs of spellings to a real Pushgateway and checks how many groups it holds. Each pair has its own label, so that
/// one response can cover a batch of pairs.
/// </summary>
public sealed class GroupingKeyDifferentialTests(ITestOutputHelper output)
{
    private const string PairLabel = "pair_number";
    private const int BatchSize = 100;

    private readonly GroupingKey _key = new(ShardingKey.Group, 8192);
    private readonly HashRing<Gateway> _ring = HashRing<Gateway>.Build(
        Enumerable.Range(1, 50).Select(i => new Gateway($"10.0.0.{i}:9091", [], [], new PerLoopCounter(1))), 500, "group");

    [Fact]
    public async Task Whenever_Pushgateway_holds_one_group_it_has_one_owner()
    {
        var random = new Random(20260101);
        await using RealPushgateway pushgateway = await RealPushgateway.StartAsync();
        int oneGroup = 0, merged = 0, apart = 0, apartByKeyAlone = 0;
        for (int pair = 0; pair < 3000; pair += BatchSize)
        {
            Pair[] batch = [.. Enumerable.Range(pair, BatchSize).Select(number => Pair.Random(random, number))];
            int[] held = CountGroups(pushgateway, batch);
            for (int i = 0; i < batch.Length; i++)
            {
                (uint firstHash, string firstKey) = Compute(batch[i].First);
                (uint secondHash, string secondKey) = Compute(batch[i].Second);
                bool sameOwner = _ring.Find(firstHash) == _ring.Find(secondHash);
                if (held[i] == 1)
                {
                    Assert.True(sameOwner && firstKey == secondKey, $"one group, two keys:\n{batch[i].First}\n{batch[i].Second}\n{firstKey}\n{secondKey}");
                    oneGroup++;
                }
                else if (firstKey == secondKey)
                {
                    merged++;
                }
                else if (sameOwner)
                {
                    apartByKeyAlone++;
                }
                else
                {
                    apart++;
                }
            }
        }

        output.WriteLine($"{oneGroup} pairs are one group for Pushgateway: all have one key and one owner");
        output.WriteLine($"{merged + apart + apartByKeyAlone} pairs are two groups: {apart} with two owners, {apartByKeyAlone} with two keys that one gateway owns, {merged} merged by the key");
        Assert.True(oneGroup >= 2000);
        Assert.True(merged + apart + apartByKeyAlone >= 200);

        // Only an empty label merges, which is rare.
        Assert.True(merged < (apart + apartByKeyAlone) / 4);
    }

    [Fact]
    public async Task What_is_hashed_as_received_is_what_Pushgateway_refuses()
    {
        var random = new Random(20260102);
        await using RealPushgateway pushgateway = await RealPushgateway.StartAsync();
        int refused = 0;
        for (int i = 0; i < 1500; i++)
        {
            string path = PushGroup.Random(random, maxLabels: 2).Spell(random);

            // Pushgateway 1.5 keeps a lock when it rejects a job's base64, and hangs on every later push.
            if (Uri.UnescapeDataString(path).Contains("/job@base64", StringComparison.Ordinal)) continue;
            path = random.Next(4) switch
            {
                0 => path + "/odd",
                1 => path + "/x@base64/a+b" + random.Next(10),
                2 => path + "/__x/1",
                _ => path.Insert(random.Next("/metrics/job".Length, path.Length), "/"),
            };
            if (_key.Compute(Encoding.Latin1.GetBytes(path), out ReadOnlySpan<byte> location) != GroupResult.Group) continue;
            int status = pushgateway.Push(Encoding.Latin1.GetString(location));

            // This version cleans the decoded path and redirects (301) where newer ones return 400 or 200.
            if (status == 301) continue;
            // It also rejects names that a newer one accepts with its UTF-8 flag.
            if (!_key.RefusedByPushgateway) continue;
            Assert.True(status == 400, $"{status} for {path}");
            refused++;
        }

        output.WriteLine($"{refused} paths refused by both");
        Assert.True(refused > 500);
    }

    /// <summary>
    /// Escaped and doubled slashes and dots anywhere, pushed to the Location; redirects by Pushgateway are followed the way clients
    /// do. The resulting group has the same key as its plain spelling.
    /// </summary>
    [Fact]
    public async Task Where_slashes_and_dots_are_escaped_the_key_is_that_of_the_group_that_results()
    {
        string[] pieces = ["a", "b", "job", "x", "y", "1", "/", "/", "/", "//", "%2F", "%2f", "x%2F/", "/%2F", ".", "%2e", "/./", "/../", "/%2E%2E/", "a@base64", "/YQ", "+", "%20"];
        var random = new Random(20261129);
        await using RealPushgateway pushgateway = await RealPushgateway.StartAsync();
        int direct = 0, redirected = 0, refused = 0, rejected = 0;
        var groupOfKey = new Dictionary<string, string>();
        for (int i = 0; i < 4000; i++)
        {
            string path = "/metrics/job/" + string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => pieces[random.Next(pieces.Length)]));
            if (random.Next(20) == 0) path = path.Replace("/job/", "%2Fjob/%2F", StringComparison.Ordinal);
            if (_key.Compute(Encoding.Latin1.GetBytes(path), out ReadOnlySpan<byte> location, out ReadOnlySpan<byte> bytes) != GroupResult.Group)
            {
                rejected++;
                continue;
            }

            string key = Encoding.Latin1.GetString(bytes);
            bool hashedAsReceived = _key.RefusedByPushgateway;
            pushgateway.Wipe();
            (int status, string? moved) = pushgateway.PushFor(Encoding.Latin1.GetString(location));
            bool wasMoved = status == 301;
            if (wasMoved) status = pushgateway.Push(moved!);
            if (status != 200)
            {
                // Nothing is stored, so nothing can have two owners.
                Assert.True(status is 400 or 404 or 405 or 307, $"{status} for {path}");
                refused++;
                continue;
            }

            Dictionary<string, string> labels = Assert.Single(pushgateway.Groups());
            Assert.False(hashedAsReceived, path);
            string group = Plain(labels);
            Assert.True(Compute(group).Key == key, $"{path}\n{key}\n{group}");

            // One group per key, except for labels without a value, which the key omits.
            if (!groupOfKey.TryAdd(key, group)) Assert.True(groupOfKey[key] == group, $"one key, two groups: {path}\n{groupOfKey[key]}\n{group}");
            if (wasMoved) redirected++;
            else direct++;
        }

        output.WriteLine($"{direct} stored at once, {redirected} after a redirect of Pushgateway, {refused} refused by it, {rejected} rejected here");
        Assert.True(direct > 200 && redirected > 50 && refused > 200 && rejected > 200, $"{direct} {redirected} {refused} {rejected}");
    }

    private static string Plain(Dictionary<string, string> labels)
    {
        static string Segment(string name, string value) =>
            $"/{name}@base64/{Convert.ToBase64String(Encoding.UTF8.GetBytes(value)).TrimEnd('=').Replace('+', '-').Replace('/', '_')}";

        return "/metrics" + Segment("job", labels["job"])
            + string.Concat(labels.Where(label => label.Key != "job" && label.Value.Length > 0).OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => Segment(label.Key, label.Value)));
    }

    /// <summary>The number of groups of each pair.</summary>
    private int[] CountGroups(RealPushgateway pushgateway, Pair[] batch)
    {
        pushgateway.Wipe();
        foreach (Pair pair in batch)
        {
            foreach (string path in new[] { pair.First, pair.Second })
            {
                Assert.Equal(GroupResult.Group, _key.Compute(Encoding.Latin1.GetBytes(path), out ReadOnlySpan<byte> location));
                string followed = Encoding.Latin1.GetString(location);
                int status = pushgateway.Push(followed);
                Assert.True(status == 200, $"{status} for {followed}");
            }
        }

        var groups = pushgateway.Groups().CountBy(labels => labels[PairLabel]).ToDictionary();
        return [.. batch.Select(pair => groups[pair.Number])];
    }

    private (uint Hash, string Key) Compute(string path)
    {
        _key.Compute(Encoding.Latin1.GetBytes(path), out _, out ReadOnlySpan<byte> key);
        return (_key.Hash, Encoding.Latin1.GetString(key));
    }

    private sealed record Pair(string Number, string First, string Second)
    {
        /// <summary>Four of five pairs spell one group twice; the others spell two groups with one difference.</summary>
        public static Pair Random(Random random, int number)
        {
            PushGroup group = PushGroup.Random(random);
            PushGroup other = random.Next(5) == 0 ? group.Neighbour(random) : group;
            string label = $"n{number}";
            return new Pair(label, group.With(PairLabel, label).Spell(random), other.With(PairLabel, label).Spell(random));
        }
    }
}
