using System.Text;
using System.Text.Json;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>The JSON of a Pushgateway, in pieces of any size. The functional tests hold the same against real ones.</summary>
public sealed class GroupParserTests
{
    private const string Times = """
        "push_failure_time_seconds":{"time_stamp":"t","type":"GAUGE","help":"h","metrics":[{"labels":{"instance":"i","job":"a"},"value":"0"}]},
        "push_time_seconds":{"time_stamp":"t","type":"GAUGE","help":"h","metrics":[{"labels":{"instance":"i","job":"a"},"value":"1.7000000005e+09"}]}
        """;

    private const string Family = """{"time_stamp":"t","type":"COUNTER","help":"h","metrics":[{"labels":{"job":"a"},"value":"3"},{"labels":{},"value":"4"}]}""";

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public void A_group_has_its_labels_times_and_families(int piece)
    {
        PushgatewayGroup group = Assert.Single(Parse(Document($$"""{"labels":{"zone":"","job":"a","instance":"i"},"last_push_successful":true,"m":{{Family}},{{Times}}}"""), piece));

        Assert.Equal([new("job", "a"), new("instance", "i"), new("zone", "")], group.Labels.ToArray());
        Assert.True(group.HasExactLabels);
        Assert.True(group.LastPushSuccessful);
        Assert.Equal(1700000000.5, group.PushTime);
        Assert.Equal(0, group.PushFailureTime);
        Assert.Equal([new MetricFamily("m", "COUNTER")], group.Families.ToArray());
    }

    [Fact]
    public void Metrics_named_like_the_groups_own_fields_do_not_replace_them()
    {
        PushgatewayGroup group = Assert.Single(Parse(Document($$"""{"labels":{{Family}},"last_push_successful":{{Family}},{{Times}}}""")));

        Assert.Equal([new("job", "a"), new("instance", "i")], group.Labels.ToArray());
        Assert.True(group.HasExactLabels);
        Assert.True(group.LastPushSuccessful);
        Assert.Equal(["labels", "last_push_successful"], group.Families.Select(family => family.Name));
    }

    [Fact]
    public void What_would_turn_or_move_the_text_of_a_terminal_is_shown_as_an_escape() => Assert.Equal(
        "{job=\"\\u202eabc\\u001b[2J\\u2028\\u200b é\"}", GroupPath.Describe([new("job", "\u202eabc\u001b[2J\u2028\u200b é")]));

    /// <summary>Without the flag, <c>U__f_2e_b</c> is the name of another label.</summary>
    [Fact]
    public void A_name_that_is_not_classic_can_be_named_only_to_a_gateway_that_reads_escapes()
    {
        Assert.True(GroupPath.CanBeNamed([new("job", "a"), new("f.b", "1")], utf8Names: true));
        Assert.False(GroupPath.CanBeNamed([new("job", "a"), new("f.b", "1")], utf8Names: false));
        Assert.True(GroupPath.CanBeNamed([new("job", "a"), new("f_b", "/ü")], utf8Names: false));
    }

    [Fact]
    public void A_group_of_endless_labels_or_families_is_an_error()
    {
        string labels = string.Join(',', Enumerable.Range(0, 1100).Select(static i => $"\"l{i}\":\"{new string('x', 1000)}\""));
        Assert.Throws<JsonException>(() => Parse(Document($$"""{"labels":{"job":"a",{{labels}}},"last_push_successful":true,{{Times}}}""")));
        string families = string.Join(',', Enumerable.Range(0, 100_001).Select(static i => $"\"m{i}\":{Family}"));
        Assert.Throws<JsonException>(() => Parse(Document($$"""{"labels":{"job":"a"},"last_push_successful":true,{{families}},{{Times}}}""")));
    }

    [Fact]
    public void Without_an_instance_hidden_labels_are_ambiguous()
    {
        string times = Times.Replace("\"i\"", "\"\"", StringComparison.Ordinal);
        Assert.False(Assert.Single(Parse(Document($$"""{"labels":{{Family}},"last_push_successful":true,{{times}}}"""))).HasExactLabels);
    }

    [Fact]
    public void Labels_named_like_the_parts_of_a_family_are_labels()
    {
        PushgatewayGroup group = Assert.Single(Parse(Document($$"""{"labels":{"job":"a","metrics":"m","type":"t","help":"h"},"last_push_successful":false,{{Times}}}""")));

        Assert.Equal(["job", "help", "metrics", "type"], group.Labels.Select(label => label.Key));
        Assert.False(group.LastPushSuccessful);
        Assert.Empty(group.Families);
    }

    [Fact]
    public void A_hidden_success_is_told_by_the_times()
    {
        string failed = Times.Replace("\"value\":\"0\"", "\"value\":\"1.8e+09\"", StringComparison.Ordinal);
        Assert.False(Assert.Single(Parse(Document($$"""{"labels":{"job":"a"},"last_push_successful":{{Family}},{{failed}}}"""))).LastPushSuccessful);
    }

    [Fact]
    public void Many_groups_and_none()
    {
        string group = $$"""{"labels":{"job":"a"},"last_push_successful":true,"m":{{Family}},{{Times}}}""";
        Assert.Equal(3, Parse(Document(string.Join(',', group, group, group)), 11).Count);
        Assert.Empty(Parse(Document("")));
    }

    [Fact]
    public void A_path_spells_any_labels_and_has_the_groups_key()
    {
        KeyValuePair<string, string>[] odd = [new("job", "a/b c%é"), new("empty", ""), new("dot.name", "x"), new("instance", "..")];
        string path = GroupPath.Of(GroupPath.Sort(odd), utf8Names: true);

        Assert.Equal("/metrics/job@base64/YS9iIGMlw6k/U__dot_2e_name@base64/eA/empty@base64/=/instance@base64/Li4", path);
        var key = new GroupingKey(ShardingKey.Group, 4096);
        Assert.Equal(GroupResult.Group, key.Compute(Encoding.ASCII.GetBytes(path), out _, out ReadOnlySpan<byte> hashed));
        Assert.Equal("/metrics/job@base64/YS9iIGMlw6k/dot.name/x/instance/..", Encoding.UTF8.GetString(hashed));
        Assert.Equal("{job=\"a/b c%é\", \"dot.name\"=\"x\", empty=\"\", instance=\"..\"}", GroupPath.Describe(GroupPath.Sort(odd)));
        Assert.Equal(GroupPath.Sort(odd).ToArray(), GroupPath.LabelsOf(GroupPath.KeyOf(GroupPath.Sort(odd))).ToArray());
    }

    [Fact]
    public void A_classic_name_that_looks_escaped_is_escaped_only_for_a_gateway_that_unescapes()
    {
        KeyValuePair<string, string>[] labels = [new("job", "a"), new("U__x", "1")];
        Assert.Equal("/metrics/job@base64/YQ/U__x@base64/MQ", GroupPath.Of(GroupPath.Sort(labels), utf8Names: false));
        Assert.Equal("/metrics/job@base64/YQ/U__U____x@base64/MQ", GroupPath.Of(GroupPath.Sort(labels), utf8Names: true));
    }

    private static string Document(string groups) => $$"""{"status":"success","data":[{{groups}}]}""";

    private static List<PushgatewayGroup> Parse(string json, int piece = 64)
    {
        var parser = new GroupParser();
        var groups = new List<PushgatewayGroup>();
        var state = new JsonReaderState();
        byte[] rest = [];
        foreach (byte[] chunk in Encoding.UTF8.GetBytes(json).Chunk(piece).Append([]))
        {
            byte[] bytes = [.. rest, .. chunk];
            var reader = new Utf8JsonReader(bytes, chunk.Length == 0, state);
            while (reader.Read())
            {
                if (parser.Take(ref reader) is { } group) groups.Add(group);
            }

            state = reader.CurrentState;
            rest = bytes[(int)reader.BytesConsumed..];
        }

        Assert.True(parser.IsDone && parser.HasData);
        Assert.Equal("success", parser.Status);
        return groups;
    }
}
