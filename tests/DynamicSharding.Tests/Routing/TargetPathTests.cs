using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Routing;

public sealed class TargetPathTests
{
    [Theory]
    [InlineData("/metrics/job/a", "/metrics/job/a")]
    [InlineData("/metrics/job/a?x=1", "/metrics/job/a")]
    [InlineData("http://h:9292/metrics/job/a%2Fb?x", "/metrics/job/a%2Fb")]
    [InlineData("https://[::1]/metrics/job/../x", "/metrics/job/../x")]
    [InlineData("http://h", "/")]
    [InlineData("/metrics/job/a/url/http://b", "/metrics/job/a/url/http://b")]
    public void The_raw_path_of_what_an_operator_types(string typed, string path)
    {
        Assert.Equal(RejectReason.None, TargetPath.Parse(typed, prefix: "", out byte[] raw));
        Assert.Equal(path, Encoding.UTF8.GetString(raw));
    }

    [Theory]
    [InlineData("")]
    [InlineData("metrics/job/a")]
    [InlineData("/metrics/job/a#b")]
    [InlineData("/metrics/job/a b")]
    [InlineData("/metrics/job/a\\b")]
    [InlineData("https://user@h/metrics/job/a")]
    [InlineData("ftp://h/metrics/job/a")]
    public void What_the_data_listener_answers_with_400_is_refused(string typed) =>
        Assert.Equal(RejectReason.BadTarget, TargetPath.Parse(typed, prefix: "", out _));
}
