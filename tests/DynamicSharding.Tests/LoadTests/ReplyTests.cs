using System.Text;
using DynamicSharding.LoadTests.Engine;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.Tests.LoadTests;

public sealed class ReplyTests
{
    private const string Redirect = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 2\r\nLocation: http://gateway:9091/a\r\nConnection: close\r\n\r\nok";

    [Fact]
    public void A_reply_is_whole_only_with_its_last_byte()
    {
        byte[] bytes = Encoding.ASCII.GetBytes(Redirect + "HTTP/1.1");
        for (int length = 0; length < Redirect.Length; length++) Assert.Equal(0, Reply.TryRead(bytes.AsSpan(0, length), out _));

        Assert.Equal(1, Reply.TryRead(bytes, out Reply reply));

        Assert.Equal((307, Redirect.Length, true), (reply.Status, reply.Length, reply.Closes));
        Assert.True(reply.Location.EndsWith("/a"u8));
    }

    [Theory]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n")]
    [InlineData("nonsense\r\n\r\n")]
    public void Something_else_is_no_reply(string text) => Assert.Equal(-1, Reply.TryRead(Encoding.ASCII.GetBytes(text), out _));

    [Fact]
    public void Requests_come_in_their_shares_and_name_every_group()
    {
        RequestKind good = new("good", 3, "PUT", "/metrics/job/{group}", 4, 0, null, 307);
        RequestKind bad = new("bad", 1, "", "", 0, 0, "nonsense", 400);
        Scenario scenario = new("test", 1, 2, false, null, 40, TimeSpan.FromSeconds(1), [], [good, bad], []);

        Message[] messages = MessageCatalog.Write(scenario, "localhost:1");

        Expectation[] expected = [.. messages.SelectMany(static message => message.Expected)];
        Assert.Equal(30, expected.Count(static one => one.Kind == 0));
        Assert.Equal(10, expected.Count(static one => one.Kind == 1));
        Assert.Equal(30, expected.Where(static one => one.Kind == 0).DistinctBy(static one => Encoding.ASCII.GetString(one.Target)).Count());
        Assert.All(messages, static message => Assert.Equal(2, message.Expected.Length));
    }

    [Fact]
    public void A_chunked_body_ends_with_its_last_chunk()
    {
        RequestKind kind = new("chunked", 1, "PUT", "/metrics/job/a", 10, 4, null, 307);
        Scenario scenario = new("test", 1, 1, false, null, 1, TimeSpan.FromSeconds(1), [], [kind], []);

        string text = Encoding.ASCII.GetString(MessageCatalog.Write(scenario, "localhost:1")[0].Head);

        Assert.EndsWith("\r\n\r\n4\r\nload\r\n4\r\n_tes\r\n2\r\nt_\r\n0\r\n\r\n", text, StringComparison.Ordinal);
    }
}
