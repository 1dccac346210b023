using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>Literal lists, as Prometheus reads them, and the exact words about those that it would not read.</summary>
public sealed class TargetGroupsTests
{
    [Theory]
    [InlineData("""[{"targets": ["b:1", "A.:9091"]}, {"targets": ["c"], "labels": {"a": "b"}}]""", "a:9091,b:1,c:9091")]
    [InlineData("\uFEFF[{\"labels\": {}, \"targets\": [\"a\"]}]\n", "a:9091")]
    [InlineData("""[{"targets": ["[::ffff:10.0.0.1]:1", "10.0.0.1:01", "[2001:DB8::1]:1"]}]""", "10.0.0.1:1,[2001:db8::1]:1")]
    [InlineData("""[{"targets": ["\u0061:1", "a:1"], "labels": {"\/": "\ud83d\ude00"}}, {"targets": null, "labels": null}, {}]""", "a:1")]
    [InlineData("[]", "")]
    [InlineData("""[{"targets": []}]""", "")]
    public void Json(string text, string expected) => Assert.Equal((expected, null), Read("t.json", text));

    [Theory]
    [InlineData("- targets: [b:1, a]\n  labels: {job: x, n: 1}\n- targets:\n  - c\n", "a:9091,b:1,c:9091")]
    [InlineData("---\n# none\n[]\n", "")]
    [InlineData("[{\"targets\": [\"a:1\"]}]", "a:1")]
    public void Yaml(string text, string expected) => Assert.Equal((expected, null), Read("t.yml", text));

    [Theory]
    [InlineData("t.json", "", "t.json: is empty; a list without targets is []")]
    [InlineData("t.json", " \n", "t.json: is empty; a list without targets is []")]
    [InlineData("t.yml", "", "t.yml: is empty; a list without targets is []")]
    [InlineData("t.yml", "# nothing\n", "t.yml: has no list of target groups: [{\"targets\": [\"host:9091\"]}]")]
    [InlineData("t.json", "{}", "t.json:1:1: must be a list of target groups: [{\"targets\": [\"host:9091\"]}]")]
    [InlineData("t.json", "[1]", "t.json:1:2: a target group must be a mapping with targets and labels")]
    [InlineData("t.json", "[\n  {\"targets\": [\"é\", \"a/b\"]}]", "t.json:2:16: this target contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.' (and 1 more)")]
    [InlineData("t.json", "[{\"targets\": [\"é.example\"]}]", "t.json:1:15: this target contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'")]
    [InlineData("t.json", "[{\"labels\": {\"é\": \"é\"}, \"targets\": [\"http://a\"]}]", "t.json:1:37: this target must be a bare host or host:port; remove the scheme (the key pushgateway.scheme sets it)")]
    [InlineData("t.json", "[{\"targets\": \"a\"}]", "t.json:1:14: targets must be a list of host:port")]
    [InlineData("t.json", "[{\"targets\": [[\"a\"]]}]", "t.json:1:15: a target must be host:port")]
    [InlineData("t.json", "[{\"target\": [\"a\"]}]", "t.json:1:3: a target group has only targets and labels")]
    [InlineData("t.json", "[{\"targets\": [\"a\"], \"labels\": {\"x\": {}}}]", "t.json:1:37: the value of a label must be a string")]
    [InlineData("t.json", "[{\"targets\": [\"a\"], \"targets\": [\"b\"]}]", "t.json:1:21: this key is given twice, first on line 1; remove one of them")]
    [InlineData("t.json", "[{\"targets\": [\"a\"", "t.json:1:18: not valid JSON: ")]
    [InlineData("t.json", "[{\"targets\": [\"a\\ud800\"]}]", "t.json:1:15: not valid JSON: the text is not UTF-8")]
    [InlineData("t.json", "<html>", "t.json:1:1: not valid JSON: ")]
    [InlineData("t.json", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "t.json:1:")]
    [InlineData("t.json", "[{\"targets\": [1]}]", "t.json:1:15: a target must be host:port")]
    [InlineData("t.json", "[{\"targets\": [null]}]", "t.json:1:15: a target must be host:port")]
    [InlineData("t.json", "[{\"targets\": [true, {}]}]", "t.json:1:15: a target must be host:port (and 1 more)")]
    [InlineData("t.json", "[{\"targets\": [\"a:70000\"]}]", "t.json:1:15: this target ")]
    [InlineData("t.json", "[{\"targets\": [\"a b\"]}]", "t.json:1:15: this target ")]
    [InlineData("t.json", "[{\"targets\": [\"2001:db8::1\"]}]", "t.json:1:15: this target ")]
    [InlineData("t.json", "[{\"targets\": [\"[fe80::1%eth0]:1\"]}]", "t.json:1:15: this target ")]
    [InlineData("t.json", "[{\"targets\": [\"a\\u0000b\"]}]", "t.json:1:15: this target ")]
    [InlineData("t.json", "[{\"targets\": [\"user:pass@a:1\"]}]", "t.json:1:15: this target ")]
    [InlineData("t.json", "[{\"targets\": [\"a\"], \"labels\": {\"x\": 3}}]", "t.json:1:37: the value of a label must be a string")]
    [InlineData("t.yml", "- targets: [null]\n", "t.yml:1:13: a target must be host:port")]
    [InlineData("t.yml", "- targets: [a]\n- targets:\n   - b\n  labels: x\n", "t.yml:4:11: labels must be a mapping of names to values")]
    [InlineData("t.yml", "- targets:\n  - a\n  - \"b:90", "t.yml:3:")]
    [InlineData("t.yml", "- &a {targets: [a]}\n- *a\n", "t.yml:2:3: a YAML alias is not supported")]
    public void What_is_no_list_is_named_with_its_place(string path, string text, string error)
    {
        (string addresses, string? actual) = Read(path, text);
        Assert.Equal("", addresses);
        Assert.StartsWith(error, actual, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_an_error_and_no_exception()
    {
        byte[] bytes = [(byte)'[', (byte)'"', 0xff, 0xfe, (byte)'"', (byte)']'];
        foreach (bool isJson in (bool[])[true, false]) Assert.NotNull(new TargetGroups(9091, new ShardingOptions()).Read("t", bytes, isJson).Error);
    }

    [Fact]
    public void A_weight_comes_from_the_label_that_is_named_and_from_no_other()
    {
        const string Text = """[{"targets": ["a"], "labels": {"w": "3", "__weight__": "9"}}, {"targets": ["b"]}, {"targets": ["c"], "labels": {"w": ""}}, {"targets": ["d"], "labels": {"w": "0"}}]""";
        Assert.Equal("a:9091,b:9091,c:9091,d:9091", Weights(Text, null));
        Assert.Equal("a:9091=3,b:9091=1,c:9091=1,d:9091=0", Weights(Text, "w"));
        Assert.Equal("a:9091=1,b:9091=1,c:9091=1,d:9091=1", Weights(Text, "other"));
        Assert.Equal("t.json:1:38: w, which sharding.weight_label names, must be a whole number from 0 to 100", Weights("""[{"targets": ["a"], "labels": {"w": "101"}}]""".Replace("\"w\": ", "\"w\":  "), "w"));
        Assert.Contains("listed twice, with two weights", Weights("""[{"targets": ["a"], "labels": {"w": "1"}}, {"targets": ["a"], "labels": {"w": "2"}}]""", "w"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("101")]
    [InlineData("99999999999999999999")]
    [InlineData("1.5")]
    [InlineData("1e2")]
    [InlineData("+3")]
    [InlineData(" 3")]
    [InlineData("0x3")]
    [InlineData("\uff13")]
    [InlineData("heavy")]
    public void A_value_that_is_no_weight_makes_the_list_unusable(string weight) => Assert.Equal(
        "t.json:1:37: w, which sharding.weight_label names, must be a whole number from 0 to 100", Weights("""[{"targets": ["a"], "labels": {"w": "?"}}]""".Replace("?", weight, StringComparison.Ordinal), "w"));

    [Fact]
    public void Odd_labels_are_not_looked_at_and_null_is_no_weight()
    {
        Assert.Equal("a:9091=1", Weights("""[{"targets": ["a"], "labels": {"": "\u0000\u001b[31m", "\ud83d\ude00": "<script>", "w": null}}]""", "w"));
        Assert.Equal("a:9091=7", Weights("""[{"targets": ["a", "A.", "a:9091"], "labels": {"w": "007"}}]""", "w"));
    }

    private static string Weights(string text, string? label)
    {
        (var gateways, string? error) = new TargetGroups(9091, new ShardingOptions { WeightLabel = label }).Read("t.json", Encoding.UTF8.GetBytes(text), isJson: true);
        return error ?? string.Join(',', gateways.Select(gateway => gateway.Weight is { } weight ? $"{gateway.Address}={weight}" : gateway.Address));
    }

    private static (string Addresses, string? Error) Read(string path, string text)
    {
        (var gateways, string? error) = new TargetGroups(9091, new ShardingOptions()).Read(path, Encoding.UTF8.GetBytes(text), path.EndsWith(".json", StringComparison.Ordinal));
        return (string.Join(',', gateways.Select(gateway => gateway.Address)), error);
    }
}
