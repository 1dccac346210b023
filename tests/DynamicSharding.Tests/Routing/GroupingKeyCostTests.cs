using System.Diagnostics;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Routing;

public sealed class GroupingKeyCostTests
{
    [Theory]
    [InlineData("/metrics/job/a/x/1/y/2")]
    [InlineData("/metrics/job/a/y/2/x/1")]
    [InlineData("/metrics/job/a/e/1/d/1/c/1/b/1/a/1/z/1/y/1/x/1/w/1/v/1/u/1/t/1/s/1/r/1/q/1/p/1/o/1/n/1/m/1")]
    [InlineData("/metrics/job@base64/Zm9vL2Jhcg==/x@base64/MQ")]
    [InlineData("/metrics/job/%66oo/U__f_2e_b/1")]
    [InlineData("//metrics/job/é//x/1")]
    [InlineData("/metrics/job/a/x/1/")]
    [InlineData("/metrics/job/a/../b")]
    [InlineData("/metrics/job/a%zz")]
    [InlineData("/other")]
    public void Nothing_is_allocated(string path) => AssertNothingIsAllocated(Encoding.UTF8.GetBytes(path));

    [Theory]
    [InlineData("/b/1/a/2")]
    [InlineData("%C3%A9")]
    [InlineData("é")]
    [InlineData("/x@base64/Lw")]
    [InlineData("/U__a_2e_/b//")]
    public void Nothing_is_allocated_for_a_path_as_long_as_the_limit(string repeated) => AssertNothingIsAllocated(
        [.. Encoding.UTF8.GetBytes("/metrics/job/a/z/1" + string.Concat(Enumerable.Repeat(repeated, 8192))).Take(8192)]);

    [Fact]
    public void Ten_thousand_labels_in_any_order_have_one_key_and_cost_no_more_than_a_sort()
    {
        const int Labels = 10_000;
        var key = new GroupingKey(ShardingKey.Group, 256 * 1024);
        var random = new Random(1);
        string[] labels = [.. Enumerable.Range(0, Labels).Select(i => $"/n{i:x}/{i % 10}")];
        string[] duplicated = [.. labels.Select(label => label[..^1] + "z"), .. labels];
        var clock = Stopwatch.StartNew();
        Assert.Equal(GroupResult.Group, key.Compute(Path(labels), out _));
        uint hash = key.Hash;
        for (int i = 0; i < 10; i++)
        {
            random.Shuffle(labels);
            key.Compute(Path(labels), out _);
            Assert.Equal(hash, key.Hash);
        }

        key.Compute(Path(duplicated), out _);
        Assert.Equal(hash, key.Hash);

        // A quadratic pass over 10,000 labels is a hundred million comparisons a path; this bound only distinguishes the two.
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"{clock.Elapsed}");

        static byte[] Path(string[] labels) => Encoding.ASCII.GetBytes("/metrics/job/a" + string.Concat(labels));
    }

    private static void AssertNothingIsAllocated(byte[] path)
    {
        foreach (ShardingKey mode in Enum.GetValues<ShardingKey>())
        {
            var key = new GroupingKey(mode, 8192);
            ComputeAll();
            Assert.Equal(0, Allocated.By(ComputeAll));

            void ComputeAll()
            {
                for (int i = 0; i < 100; i++) key.Compute(path, out _);
            }
        }
    }
}
