using System.Text;
using CsCheck;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Ring;

namespace DynamicSharding.Tests.Routing;

public sealed class GroupingKeyPropertyTests
{
    private static readonly Gen<Random> Randoms = Gen.Int.Select(seed => new Random(seed));

    [Fact]
    public void Every_spelling_of_a_group_has_one_key() => Randoms.Sample(random =>
    {
        PushGroup group = PushGroup.Random(random);
        string first = group.Spell(random);
        KeyOf expected = KeyOf.Path(first);
        Assert.Equal(GroupResult.Group, expected.Verdict);
        Assert.False(expected.Refused, first);
        for (int i = 0; i < 8; i++)
        {
            string path = group.Spell(random);
            KeyOf key = KeyOf.Path(path);
            Assert.True(expected.Key == key.Key && expected.Hash == key.Hash, $"{first}\n{path}\n{expected.Key}\n{key.Key}");
        }
    }, iter: 5000);

    [Fact]
    public void The_location_names_the_same_group_and_is_clean() => Randoms.Sample(random =>
    {
        KeyOf key = KeyOf.Path(PushGroup.Random(random).Spell(random));
        KeyOf followed = KeyOf.Path(key.Location);
        Assert.Equal((key.Key, key.Location), (followed.Key, followed.Location));
        Assert.DoesNotContain("//", key.Location, StringComparison.Ordinal);
        Assert.All(key.Location, c => Assert.InRange(c, '!', '~'));
    }, iter: 5000);

    [Fact]
    public void Different_groups_spread_as_the_shares_say()
    {
        const int Groups = 20_000;
        var random = new Random(7);
        HashRing<Gateway> ring = TestRing.Build(TestRing.Addresses(10));
        string[] keys = [.. Enumerable.Range(0, Groups * 2).Select(_ => KeyOf.Path(PushGroup.Random(random).Spell(random)).Key).Distinct().Take(Groups)];
        Dictionary<string, int> owned = keys.CountBy(key => ring.Find(MurmurHash3.Hash32(Encoding.Latin1.GetBytes(key))).Address).ToDictionary();
        double[] shares = ring.OwnershipRatios();
        for (int i = 0; i < shares.Length; i++)
        {
            double expected = shares[i] * keys.Length;
            double deviation = Math.Sqrt(expected * (1 - shares[i]));
            Assert.InRange(owned[ring.Members[i].Address], expected - (5 * deviation), expected + (5 * deviation));
        }
    }

    [Fact]
    public void No_bytes_throw_and_no_location_leaves_the_push_paths() =>
        Gen.Select(Randoms, Gen.Int[0, 300], Gen.Bool).Sample((random, length, pathMode) =>
        {
            const string Likely = "/////%%%%2Ff0.@base64=U___jobax-";
            byte[] tail = [.. Enumerable.Range(0, length).Select(_ => random.Next(4) == 0 ? (byte)random.Next(256) : (byte)Likely[random.Next(Likely.Length)])];
            byte[] path = [.. Encoding.ASCII.GetBytes(random.Next(4) == 0 ? "/" : "/metrics/job/"), .. tail];
            KeyOf key = KeyOf.Path(path, pathMode ? ShardingKey.Path : ShardingKey.Group);
            if (key.Verdict != GroupResult.Group) return;
            Assert.DoesNotContain("//", key.Location, StringComparison.Ordinal);
            Assert.DoesNotContain("/../", Uri.UnescapeDataString(key.Location) + "/", StringComparison.Ordinal);
            Assert.Equal(MurmurHash3.Hash32(Encoding.Latin1.GetBytes(key.Key)), key.Hash);
        }, iter: 50_000);

    [Theory]
    [InlineData(1)]
    [InlineData(13)]
    [InlineData(14)]
    [InlineData(20)]
    [InlineData(21)]
    [InlineData(64)]
    public void A_path_that_fills_the_limit_fits_the_scratch_memory(int length)
    {
        foreach (string filler in new[] { "é", "/", "/x@base64/Lw", "%2F", "U__", "/a/b", "a" })
        {
            var key = new GroupingKey(ShardingKey.Group, length);
            byte[] path = [.. Encoding.UTF8.GetBytes("/metrics/job/a/" + string.Concat(Enumerable.Repeat(filler, length))).Take(length)];
            key.Compute(path, out _);
        }
    }
}
