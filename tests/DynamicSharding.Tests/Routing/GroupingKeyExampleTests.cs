using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Routing;

/// <summary>Pairs of paths and whether they are one group in Pushgateway; numbered like the reference's table.</summary>
public sealed class GroupingKeyExampleTests
{
    [Theory]
    [InlineData(1, "/metrics/job/a/x/1/y/2", "/metrics/job/a/y/2/x/1")]
    [InlineData(2, "/metrics/job/foo", "/metrics/job/foo/")]
    [InlineData(3, "/metrics/job/foo", "/metrics/job@base64/Zm9v")]
    [InlineData(4, "/metrics/job@base64/Zm9vYg", "/metrics/job@base64/Zm9vYg==")]
    [InlineData(5, "/metrics/job/a/x/1", "/metrics/job/a/x%40base64/MQ%3D%3D")]
    [InlineData(6, "/metrics/job/foo", "/metrics/job/%66oo")]
    [InlineData(7, "/metrics/job/a/name/%CE%A0", "/metrics/job/a/name/%ce%a0")]
    [InlineData(7, "/metrics/job/a/name/%CE%A0", "/metrics/job/a/name/Π")]
    [InlineData(7, "/metrics/job/a/name/%CE%A0", "/metrics/job/a/name@base64/zqA")]
    [InlineData(8, "/metrics/job/a+b", "/metrics/job/a%2Bb")]
    [InlineData(10, "/metrics/job/a%20b", "/metrics/job@base64/YSBi")]
    [InlineData(11, "/metrics/job/foo/a/b", "/metrics/job/foo%2Fa%2Fb")]
    [InlineData(13, "/metrics/job/a", "/metrics/job/a/job/b")]
    [InlineData(13, "/metrics/job/a", "/metrics/job/a/job@base64/Yg")]
    [InlineData(14, "/metrics/job/a/x/1/x/2", "/metrics/job/a/x/2")]
    [InlineData(16, "/metrics/job/a", "/metrics/job/a/x@base64/=")]
    [InlineData(17, "/metrics/job/a/x@base64/=", "/metrics/job/a/x/")]
    [InlineData(18, "/metrics/job/a/x@base64/=/y/1", "/metrics/job/a/x/%2Fy/1")]
    [InlineData(19, "/metrics/job/a//x/1", "/metrics/job/a/x/1")]
    [InlineData(26, "/metrics/job/a/x@base64/Zm9vYg", "/metrics/job/a/x@base64/Zm9vYh")]
    [InlineData(26, "/metrics/job/a/x@base64/Zm9vYg", "/metrics/job/a/x@base64/Zm9v%0AYg")]
    [InlineData(29, "/metrics/job/a/U__f_2e_b/1", "/metrics/job/a/f.b/1")]
    [InlineData(30, "/metrics/job/a", "/metrics/job/a/instance@base64/=")]
    [InlineData(31, "/metrics%2Fjob/foo", "/metrics/job/foo")]
    public void One_group_has_one_key(int example, string a, string b)
    {
        Assert.InRange(example, 1, 32);
        Assert.Equal(Group(a).Key, Group(b).Key);
        Assert.Equal(Group(a).Hash, Group(b).Hash);
    }

    [Theory]
    [InlineData(9, "/metrics/job/a+b", "/metrics/job/a%20b")]
    [InlineData(12, "/metrics/job/foo%2Fa%2Fb", "/metrics/job@base64/Zm9vL2EvYg")]
    [InlineData(15, "/metrics/job/a/x/1/x/2", "/metrics/job/a/x/2/x/1")]
    [InlineData(21, "/metrics/job/a/x/1/", "/metrics/job/a/x/1")]
    [InlineData(23, "/metrics/job/A", "/metrics/job/a")]
    [InlineData(24, "/metrics/job/caf%C3%A9", "/metrics/job/cafe%CC%81")]
    [InlineData(25, "/metrics/job/%2566oo", "/metrics/job/foo")]
    [InlineData(27, "/metrics/job/a/x@base64/a-_b", "/metrics/job/a/x@base64/a+/b")]
    public void Two_groups_have_two_keys(int example, string a, string b)
    {
        Assert.InRange(example, 1, 32);
        Assert.NotEqual(Group(a).Key, Group(b).Key);
        Assert.NotEqual(Group(a).Hash, Group(b).Hash);
    }

    [Theory]
    [InlineData("/metrics/job/a/p/%2E%2E")] // 22
    [InlineData("/metrics/job/a/p/..")] // 22
    [InlineData("/metrics/job/./a")]
    [InlineData("/metrics/job/../../api/v1/admin/wipe")]
    [InlineData("/metrics/job/.%2e/x")]
    [InlineData("/metrics/job/a%2F..%2Fb")]
    [InlineData("/metrics/job/a/x/.")]
    [InlineData("/..")]
    public void A_dot_segment_is_rejected(string path)
    {
        foreach (ShardingKey mode in Enum.GetValues<ShardingKey>())
        {
            KeyOf key = KeyOf.Path(path, mode);
            Assert.Equal((GroupResult.Rejected, RejectReason.DotSegment), (key.Verdict, key.Reason));
        }
    }

    [Theory]
    [InlineData("/metrics/job/.../x/1")]
    [InlineData("/metrics/job/.a/x/..b")]
    [InlineData("/metrics/job/a./x/b..")]
    [InlineData("/metrics/job/a/x@base64/Li4")]
    public void Dots_that_are_no_segment_are_a_group(string path) => Assert.Equal(path, Group(path).Location);

    [Theory]
    [InlineData("/metrics/job/a%zz", RejectReason.BadPercentEncoding)]
    [InlineData("/metrics/job/a%", RejectReason.BadPercentEncoding)]
    [InlineData("/metrics/job/a%4", RejectReason.BadPercentEncoding)]
    [InlineData("/metrics/job/a%4g", RejectReason.BadPercentEncoding)]
    [InlineData("/metrics/job/a%G4", RejectReason.BadPercentEncoding)]
    [InlineData("/metrics/job/a%00b", RejectReason.BadTarget)]
    public void A_broken_escape_or_a_nul_is_rejected(string path, object reason)
    {
        KeyOf key = KeyOf.Path(path);
        Assert.Equal((GroupResult.Rejected, (RejectReason)reason), (key.Verdict, key.Reason));
    }

    [Theory]
    [InlineData("/metrics/job/")]
    [InlineData("/metrics/job@base64/")]
    [InlineData("/metrics/job@base64/=")]
    [InlineData("/metrics/job/a/x")]
    [InlineData("/metrics/job/a/x/1/")] // 21
    [InlineData("/metrics/job/a/x@base64/a+/b/y/1")]
    [InlineData("/metrics/job/a/x@base64/a=b")]
    [InlineData("/metrics/job/a/job@base64/!!")]
    [InlineData("/metrics/job/a/__x/1")] // 32
    [InlineData("/metrics/job/a/x%FF/1")]
    [InlineData("/metrics/job/a/@base64/YQ")]
    public void What_every_Pushgateway_refuses_is_hashed_as_received(string path)
    {
        KeyOf key = Group(path);
        Assert.True(key.Refused);
        Assert.Equal(path, key.Key);
    }

    [Theory]
    [InlineData("/metrics/job/j/a//b//c/d")]
    [InlineData("/metrics/job/j/a//b/c/d")]
    [InlineData("/metrics/job/a/x//y/1")] // 20
    [InlineData("/metrics/job/a/x//")]
    [InlineData("/metrics/job/a/x///")]
    [InlineData("/metrics/job/a//x//1")]
    [InlineData("/metrics/job//")]
    [InlineData("/metrics/job//j")]
    [InlineData("/metrics/job//a/b")]
    [InlineData("/metrics/job@base64//YQ")]
    [InlineData("/metrics/job%2Fj/a//b/c")]
    [InlineData("/metrics/job/j%2fa//b")]
    [InlineData("/metrics/job/j/a%2Fb/c//d")]
    [InlineData("/metrics/job/j/a//%2Fb")]
    [InlineData("/metrics/job/j/a/%2F//b")]
    [InlineData("/metrics/job/j/x@base64//y/1")]
    public void An_empty_segment_where_a_value_belongs_is_rejected(string path)
    {
        KeyOf key = KeyOf.Path(path);
        Assert.Equal((GroupResult.Rejected, RejectReason.BlankLabelValue), (key.Verdict, key.Reason));
        Assert.Equal(GroupResult.Group, KeyOf.Path(path, ShardingKey.Path).Verdict);
    }

    [Theory]
    [InlineData("/metrics//job/j", "/metrics/job/j")]
    [InlineData("//metrics/job/j", "/metrics/job/j")]
    [InlineData("/metrics/job/j//a/b", "/metrics/job/j/a/b")]
    [InlineData("/metrics/job/j/a/b//c/d", "/metrics/job/j/a/b/c/d")]
    [InlineData("/metrics/job/j%2Fa%2Fb//c/d", "/metrics/job/j/a/b/c/d")]
    [InlineData("/metrics/job/j//", "/metrics/job/j")]
    [InlineData("/metrics/job/j/a/", "/metrics/job/j")] // a="" to Pushgateway, which shares the key of the group without a
    public void An_empty_segment_where_a_name_belongs_and_a_slash_at_the_end_are_none(string path, string key) => Assert.Equal(key, Group(path).Key);

    [Theory]
    [InlineData("/metrics/job/a/path/%2Fvar", "/metrics/job/a/path/var")]
    [InlineData("/metrics/job/a/path%2F/var", "/metrics/job/a/path/var")]
    [InlineData("/metrics/job/a/path%2f%2Fvar", "/metrics/job/a/path/var")]
    [InlineData("/metrics/job/a/%2F/x/1", "/metrics/job/a/x/1")]
    [InlineData("/metrics/job/a/x/1/%2Fy/2", "/metrics/job/a/x/1/y/2")]
    [InlineData("/metrics/job/a//%2Fx/1", "/metrics/job/a/x/1")]
    [InlineData("/metrics/job/%2Fa", "/metrics/job/a")]
    [InlineData("/metrics/job@base64/%2FYQ", "/metrics/job/a")]
    [InlineData("/metrics/job/a%2F%2F", "/metrics/job/a")]
    [InlineData("/metrics/job/a/x/%2F", "/metrics/job/a")]
    [InlineData("/metrics/%2Fjob/a", "/metrics/job/a")]
    [InlineData("/%2Fmetrics/job/a", "/metrics/job/a")]
    [InlineData("/metrics/job/a/x/%2Fb/y/%2Fc", "/metrics/job/a/x/b/y/c")]
    public void An_encoded_slash_beside_a_slash_is_hashed_as_the_path_that_Pushgateway_redirects_to(string path, string key)
    {
        Assert.Equal(key, Group(path).Key);
        Assert.Equal(path.Replace("//", "/", StringComparison.Ordinal), Group(path).Location);
    }

    [Theory]
    [InlineData("/metrics/job@base64/*")]
    [InlineData("/metrics/job@base64/a+b")]
    [InlineData("/metrics/job@base64/Y")]
    [InlineData("/metrics/job@base64/Zm9vY")]
    [InlineData("/metrics/job@base64/YQ=Q")]
    [InlineData("/metrics/job@base64/+/x/1")]
    [InlineData("/metrics/job%40base64/%2A/x/1")]
    [InlineData("/metrics/job@base64/%2F*")]
    public void A_job_that_is_no_base64_is_rejected_in_both_modes(string path)
    {
        foreach (ShardingKey mode in new[] { ShardingKey.Group, ShardingKey.Path })
        {
            KeyOf key = KeyOf.Path(path, mode);
            Assert.Equal((GroupResult.Rejected, RejectReason.BadJobBase64), (key.Verdict, key.Reason));
        }
    }

    [Theory]
    [InlineData("/metrics/job")]
    [InlineData("/metrics/job@base64")]
    [InlineData("/metrics")]
    [InlineData("/")]
    [InlineData("/metrics/jobs/a")]
    [InlineData("/Metrics/job/a")]
    [InlineData("/x/metrics/job/a")]
    [InlineData("/%2fevil.example/metrics/job/a")]
    public void Another_path_is_no_group(string path)
    {
        Assert.Equal(GroupResult.NotAGroup, KeyOf.Path(path).Verdict);
        Assert.Equal(GroupResult.NotAGroup, KeyOf.Path(path, ShardingKey.Path).Verdict);
    }

    [Theory]
    [InlineData("/metrics/job/a//x/1", "/metrics/job/a/x/1")]
    [InlineData("//metrics///job/a/x/1", "/metrics/job/a/x/1")]
    [InlineData("/metrics/job/a/", "/metrics/job/a/")]
    [InlineData("/metrics/job/a///", "/metrics/job/a/")]
    [InlineData("/metrics/job/a/x/%2Fy/1", "/metrics/job/a/x/%2Fy/1")]
    [InlineData("/metrics/job/%66oo/y/2/x/1", "/metrics/job/%66oo/y/2/x/1")]
    [InlineData("/metrics/job/a/name/Π", "/metrics/job/a/name/%CE%A0")]
    [InlineData("/metrics/job/a/x/\"<>^`{|}\\", "/metrics/job/a/x/\"<>^`{|}\\")]
    public void The_location_is_the_path_as_received_but_clean_and_ASCII(string path, string location)
    {
        Assert.Equal(location, Group(path).Location);
        Assert.Equal(location, KeyOf.Path(path, ShardingKey.Path).Location);
    }

    [Theory]
    [InlineData("/metrics/job/a/x/1", "/metrics/job/a/x/1")]
    [InlineData("/metrics/job/a/y/2/x/1", "/metrics/job/a/x/1/y/2")]
    [InlineData("/metrics/job/a%20b/x@base64/MQ", "/metrics/job/a b/x/1")]
    [InlineData("/metrics/job@base64/Zm9vL2EvYg==/x/1", "/metrics/job@base64/Zm9vL2EvYg/x/1")]
    [InlineData("/metrics/job/a/path@base64/L3Zhci90bXA", "/metrics/job/a/path@base64/L3Zhci90bXA")]
    [InlineData("/metrics/job/a/x@base64/=/y/1", "/metrics/job/a/y/1")]
    [InlineData("/metrics/job/a/x/1/x@base64/=", "/metrics/job/a")]
    [InlineData("/metrics/job/a/a_long_name_b/2/a_long_name_a/1/a_long_/0", "/metrics/job/a/a_long_/0/a_long_name_a/1/a_long_name_b/2")]
    [InlineData("/metrics/job/a/U___5f_x/1", "/metrics/job/a/_x/1")]
    [InlineData("/metrics/job/a/U__a__b/1", "/metrics/job/a/a_b/1")]
    [InlineData("/metrics/job/a/U__a_b/1", "/metrics/job/a/U__a_b/1")]
    [InlineData("/metrics/job/a/U__a_zz_/1", "/metrics/job/a/U__a_zz_/1")]
    [InlineData("/metrics/job/a/U__a_d800_/1", "/metrics/job/a/U__a_d800_/1")]
    [InlineData("/metrics/job/a/U__a_0000061_/1", "/metrics/job/a/U__a_0000061_/1")]
    [InlineData("/metrics/job/a/U__job/1", "/metrics/job/a")]
    public void The_key_is_the_decoded_sorted_path(string path, string key) => Assert.Equal(key, Group(path).Key);

    [Theory]
    [InlineData("/metrics/job/a/y/2/x/1", "/metrics/job/a/y/2/x/1")]
    [InlineData("/metrics/job/a%2Fb/instance/x%20y", "/metrics/job/a/b/instance/x y")]
    [InlineData("/metrics/job/a//x/1", "/metrics/job/a//x/1")]
    [InlineData("/metrics/job/", "/metrics/job/")]
    public void In_path_mode_the_key_is_the_decoded_path_as_the_original_saw_it(string path, string key) =>
        Assert.Equal(key, KeyOf.Path(path, ShardingKey.Path).Key);

    [Fact]
    public void A_path_beyond_the_limit_is_rejected_unless_it_needs_no_scratch_memory()
    {
        var key = new GroupingKey(ShardingKey.Group, 20);
        Assert.Equal(GroupResult.Rejected, key.Compute("/metrics/job/a%20b/x/1"u8, out _));
        Assert.Equal(RejectReason.RequestLineTooLong, key.Reason);
    }

    private static KeyOf Group(string path)
    {
        KeyOf key = KeyOf.Path(path);
        Assert.Equal((GroupResult.Group, RejectReason.None), (key.Verdict, key.Reason));
        return key;
    }
}
