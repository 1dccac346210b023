using DynamicSharding.Config;

namespace DynamicSharding.Tests.Cleanup;

public sealed class GroupMatcherTests
{
    private static readonly KeyValuePair<string, string>[] Group =
        [new("job", "nightly"), new("instance", "a/b"), new("my.label", "x\ny"), new("empty", "")];

    [Theory]
    [InlineData("job=\"nightly\"", true)]
    [InlineData("job=\"night\"", false)]
    [InlineData("job=~\"night\"", false)]
    [InlineData("job=~\"night.*\"", true)]
    [InlineData("job=~\"day|nightly\"", true)]
    [InlineData("job!~\"day|nightly\"", false)]
    [InlineData("job!=\"day\"", true)]
    [InlineData("job=\"nightly\",instance=\"a/b\"", true)]
    [InlineData("{ job = 'nightly' , instance = \"b\" , }", false)]
    [InlineData("{job=\"nightly\",}", true)]
    [InlineData("absent=\"\"", true)]
    [InlineData("absent!=\"\"", false)]
    [InlineData("empty=\"\"", true)]
    [InlineData("absent=~\".+\"", false)]
    [InlineData("\"my.label\"=\"x\\ny\"", true)]
    [InlineData("'my.label'=~\"x.y\"", true)]
    [InlineData("job=`nightly`", true)]
    [InlineData("job=~`night\\w+`", true)]
    [InlineData("job=\"n\\u0069ghtly\"", true)]
    public void A_matcher_selects_as_prometheus_does(string text, bool matches)
    {
        Assert.Null(GroupMatcher.TryParse(text, out GroupMatcher matcher));
        Assert.Equal(matches, matcher.Matches(Group));
    }

    [Theory]
    [InlineData("", "selects every group")]
    [InlineData("{}", "selects every group")]
    [InlineData("job", "expected =, !=, =~ or !~ after the name")]
    [InlineData("job=nightly", "the value must be in quotes (at character 5)")]
    [InlineData("job=\"a", "the value has no closing quote (at character 5)")]
    [InlineData("job=\"a\" instance=\"b\"", "expected ',' or the end (at character 9)")]
    [InlineData("{job=\"a\"", "the brace is not closed (at character 9)")]
    [InlineData("job=\"a\"}", "expected the end (at character 8)")]
    [InlineData("1job=\"a\"", "expected a label name")]
    [InlineData("job=\"a\",,", "expected a label name: letters, digits and '_', or any name in quotes (at character 9)")]
    [InlineData("job=~\"(\"", "is not a regular expression")]
    [InlineData("job=~\"(?=x)\"", "the expression needs backtracking")]
    [InlineData("job=~\"(a)\\\\1\"", "the expression needs backtracking")]
    [InlineData("job=\"\\d\"", "unknown escape; write two backslashes for one, or put the value in backticks (at character 6)")]
    public void A_wrong_matcher_is_refused_with_its_place(string text, string problem) =>
        Assert.StartsWith(problem, GroupMatcher.TryParse(text, out _), StringComparison.Ordinal);

    [Theory]
    [InlineData("job=\"a\"", true)]
    [InlineData("job=~\".+\"", true)]
    [InlineData("x=\"\", job=\"a\"", true)]
    [InlineData("x=\"\"", false)]
    [InlineData("x!=\"a\"", false)]
    [InlineData("job=~\".*\", x!~\"a.*\"", false)]
    public void One_that_needs_no_label_is_told_apart(string text, bool isSelective)
    {
        Assert.Null(GroupMatcher.TryParse(text, out GroupMatcher matcher));
        Assert.Equal(isSelective, matcher.IsSelective);
    }

    [Fact]
    public void An_expression_cannot_take_exponential_time()
    {
        Assert.Null(GroupMatcher.TryParse("job=~\"(a+)+b\"", out GroupMatcher matcher));
        Assert.False(matcher.Matches([new("job", new string('a', 100_000))]));
    }
}
