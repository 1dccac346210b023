using System.Collections.Immutable;
using System.Text;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Routing;

namespace DynamicSharding.Tests.Cleanup;

public sealed class PushedPathTests
{
    [Theory]
    [InlineData("/metrics/job/a", "{job=\"a\"}")]
    [InlineData("/metrics/job/a/", "{job=\"a\"}")]
    [InlineData("/metrics/job@base64/Zm9v", "{job=\"foo\"}")]
    [InlineData("/metrics/job/a/y/2/x/1", "{job=\"a\", x=\"1\", y=\"2\"}")]
    [InlineData("/metrics/job/a/x/1/x/2", "{job=\"a\", x=\"2\"}")]
    [InlineData("/metrics/job/a/job/b", "{job=\"a\"}")]
    [InlineData("/metrics/job/a/x@base64/=", "{job=\"a\", x=\"\"}")]
    [InlineData("/metrics/job/a/x/", "{job=\"a\", x=\"\"}")]
    [InlineData("/metrics/job/a/x%40base64/MQ%3D%3D", "{job=\"a\", x=\"1\"}")]
    [InlineData("/metrics/job@base64/Zm9vL2EvYg", "{job=\"foo/a/b\"}")]
    [InlineData("/metrics/job/foo%2Fa%2Fb", "{job=\"foo\", a=\"b\"}")]
    [InlineData("/metrics/job/a+b", "{job=\"a+b\"}")]
    [InlineData("/metrics/job/a/x/%2Fy/1", "{job=\"a\", x=\"\", y=\"1\"}")]
    public void A_path_names_its_group_label_by_label(string path, string expected)
    {
        Assert.True(PushedPath.TryRead(Encoding.ASCII.GetBytes(path), utf8Names: false, out ImmutableArray<KeyValuePair<string, string>> labels));
        Assert.Equal(expected, GroupPath.Describe(labels));
    }

    /// <summary>No gateway accepts them, or two gateways read two groups, or the bytes are not text.</summary>
    [Theory]
    [InlineData("/metrics/job/a/x")]
    [InlineData("/metrics/job/a/x/1/")]
    [InlineData("/metrics/job@base64/=")]
    [InlineData("/metrics/job@base64/%2B")]
    [InlineData("/metrics/job/a/__x/1")]
    [InlineData("/metrics/job/%FF")]
    [InlineData("/metrics/job/a/x/%2F/y/z/%2F1/q")]
    [InlineData("/metrics")]
    public void What_names_no_group_for_certain_is_refused(string path) =>
        Assert.False(PushedPath.TryRead(Encoding.ASCII.GetBytes(path), utf8Names: false, out _));

    [Fact]
    public void An_escaped_name_is_read_as_the_gateway_does()
    {
        byte[] path = "/metrics/job/a/U__f_2e_b/1"u8.ToArray();
        Assert.True(PushedPath.TryRead(path, utf8Names: false, out ImmutableArray<KeyValuePair<string, string>> classic));
        Assert.True(PushedPath.TryRead(path, utf8Names: true, out ImmutableArray<KeyValuePair<string, string>> utf8));
        Assert.Equal(["{job=\"a\", U__f_2e_b=\"1\"}", "{job=\"a\", \"f.b\"=\"1\"}"], [GroupPath.Describe(classic), GroupPath.Describe(utf8)]);
    }

    [Fact]
    public void Whatever_the_spelling_it_is_the_group_that_was_meant()
    {
        Random random = new(15);
        int read = 0;
        for (int i = 0; i < 20_000; i++)
        {
            PushGroup group = PushGroup.Random(random);
            byte[] path = Encoding.UTF8.GetBytes(group.Spell(random));

            // As the data plane would: what it refuses is never noted.
            var grouping = new GroupingKey(ShardingKey.Group, path.Length);
            if (grouping.Compute(path, out ReadOnlySpan<byte> location) != GroupResult.Group) continue;
            if (!PushedPath.TryRead(location, utf8Names: false, out ImmutableArray<KeyValuePair<string, string>> labels)) continue;
            read++;
            KeyValuePair<string, string>[] meant = [new("job", group.Job), .. group.Labels.Select(label => KeyValuePair.Create(label.Name, label.Value))];
            Assert.Equal(GroupPath.Describe(GroupPath.Sort(meant)), GroupPath.Describe(labels));
        }

        Assert.InRange(read, 15_000, 20_000);
    }

    [Fact]
    public void And_the_path_that_a_cleaner_writes_is_read_back()
    {
        Random random = new(16);
        for (int i = 0; i < 5_000; i++)
        {
            PushGroup group = PushGroup.Random(random);
            ImmutableArray<KeyValuePair<string, string>> labels = GroupPath.Sort([new("job", group.Job), .. group.Labels.Select(label => KeyValuePair.Create(label.Name, label.Value))]);
            foreach (bool utf8 in (bool[])[false, true])
            {
                Assert.True(PushedPath.TryRead(Encoding.ASCII.GetBytes(GroupPath.Of(labels, utf8)), utf8, out ImmutableArray<KeyValuePair<string, string>> read));
                Assert.Equal(GroupPath.KeyOf(labels), GroupPath.KeyOf(read));
            }
        }
    }
}
