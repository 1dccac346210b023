using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Routing;

/// <summary>RFC 9112 3.2: four forms, and everything else is rejected, because it is appended to a gateway's address in the Location.</summary>
public sealed class RequestTargetTests
{
    [Theory]
    [InlineData("/", "/", "")]
    [InlineData("/a/b", "/a/b", "")]
    [InlineData("/a?", "/a", "?")]
    [InlineData("/a?b=c?d", "/a", "?b=c?d")]
    [InlineData("//evil/a", "//evil/a", "")]
    [InlineData("/http://evil", "/http://evil", "")]
    [InlineData("http://x/a", "/a", "")]
    [InlineData("HTTP://X:80/a?b", "/a", "?b")]
    [InlineData("https://[::1]:443/a", "/a", "")]
    [InlineData("http://x", "", "")]
    [InlineData("http://x?b", "", "?b")]
    public void A_path_and_a_query(string target, string path, string query) => Assert.Equal((true, path, query), Split(target, RequestMethod.Put));

    [Theory]
    [InlineData("@evil/")]
    [InlineData(":80@evil/")]
    [InlineData(".evil/")]
    [InlineData("-evil/")]
    [InlineData("evil/a")]
    [InlineData("ftp://x/a")]
    [InlineData("http:/x")]
    [InlineData("http:///a")]
    [InlineData("http://")]
    [InlineData("http://:80/a")]
    [InlineData("http://u@x/a")]
    [InlineData("http://u:p@x/a")]
    [InlineData("http://?b")]
    [InlineData("*")]
    [InlineData("**")]
    [InlineData("x:80")]
    [InlineData("?a")]
    public void Another_form_is_refused(string target) => Assert.False(Split(target, RequestMethod.Put).Taken);

    [Theory]
    [InlineData(RequestMethod.Options, "*", true)]
    [InlineData(RequestMethod.Get, "*", false)]
    [InlineData(RequestMethod.Connect, "x:80", true)]
    [InlineData(RequestMethod.Connect, "*", true)]
    internal void Asterisk_and_authority_belong_to_their_methods(RequestMethod method, string target, bool taken) =>
        Assert.Equal((taken, "", ""), Split(target, method));

    private static (bool Taken, string Path, string Query) Split(string target, RequestMethod method)
    {
        bool taken = RequestTarget.TrySplit(Encoding.Latin1.GetBytes(target), method, out ReadOnlySpan<byte> path, out ReadOnlySpan<byte> query);
        return (taken, Encoding.Latin1.GetString(path), Encoding.Latin1.GetString(query));
    }
}
