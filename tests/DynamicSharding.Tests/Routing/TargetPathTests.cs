using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Routing;

public sealed class TargetPathTests
{
    [Theory]
    [InlineData("/metrics/job/a", "/metrics/job/a")]
    [InlineData("metrics/job/a", "/metrics/job/a")]
    [InlineData("/metrics/job/a?x=1#y", "/metrics/job/a")]
    [InlineData("http://h:9292/metrics/job/a%2Fb?x", "/metrics/job/a%2Fb")]
    [InlineData("https://user@[::1]/metrics/job/../x", "/metrics/job/../x")]
    [InlineData("http://h", "/")]
    [InlineData("/metrics/job/a/url/http://b", "/metrics/job/a/url/http://b")]
    public void The_raw_path_of_what_an_operator_types(string typed, string path) => Assert.Equal(path, TargetPath.Of(typed));
}
