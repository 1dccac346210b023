using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

public sealed class HostValueTests
{
    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("x:")]
    [InlineData(":80")]
    [InlineData("a-b_c.example:8080")]
    [InlineData("10.0.0.1:80")]
    [InlineData("%41~!$&'()*+,;=")]
    [InlineData("[::1]")]
    [InlineData("[::1]:80")]
    [InlineData("[fe80::1%25eth0]:")]
    [InlineData("[v1.x]")]
    public void A_host_with_or_without_a_port(string value) => Assert.True(HostValue.IsValid(ParsedHead.Bytes(value)));

    [Theory]
    [InlineData("[")]
    [InlineData("[]")]
    [InlineData("[::1")]
    [InlineData("[::1]x")]
    [InlineData("[::1]:x")]
    [InlineData("]")]
    [InlineData("a[b")]
    [InlineData(":x")]
    [InlineData("::1")]
    [InlineData("a:b")]
    [InlineData("a:80:80")]
    [InlineData("a:-1")]
    [InlineData("a b")]
    [InlineData("a,b c")]
    [InlineData("u@h")]
    [InlineData("a/b")]
    [InlineData("a?b")]
    [InlineData("a#b")]
    [InlineData("a\\b")]
    [InlineData("a\u0000")]
    [InlineData("\u00E9")]
    public void Anything_else(string value) => Assert.False(HostValue.IsValid(ParsedHead.Bytes(value)));
}
