using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

/// <summary>The grammar of a request head, independent of segments.</summary>
public sealed class RequestParserTests
{
    private const string Line = "PUT /metrics/job/a HTTP/1.1\r\n";

    [Fact]
    public void Each_malformed_head_is_refused_for_its_reason() => Assert.All(
        HeadSamples.Refused,
        sample => Assert.Equal(new ParsedHead(ParseStatus.Rejected, sample.Reason), ParsedHead.Of(sample.Head)));

    [Fact]
    public void Every_reason_that_a_head_can_have_is_reached()
    {
        RejectReason[] elsewhere =
        [
            RejectReason.None,
            RejectReason.BadPercentEncoding, RejectReason.DotSegment, RejectReason.BlankLabelValue, RejectReason.BadJobBase64, RejectReason.UnknownMethod, RejectReason.MethodNotAllowed,
            RejectReason.NotFound, RejectReason.Unauthorized, RejectReason.WrongCredentials, RejectReason.AuthenticationBusy, RejectReason.BadChunk, RejectReason.HeaderTimeout, RejectReason.TooManyConnections, RejectReason.NoGateway,
            RejectReason.UnexpectedProxyHeader, // the session tells it apart
            RejectReason.RequestLineTooLong, RejectReason.FieldsTooLarge, RejectReason.TooManyFields, // the limits, below
        ];
        Assert.Empty(Enum.GetValues<RejectReason>().Except(elsewhere).Except(HeadSamples.Refused.Select(sample => sample.Reason)));
    }

    [Fact]
    public void Well_formed_heads_are_read_in_full()
    {
        ParsedHead plain = new(ParseStatus.Done, RejectReason.None, RequestMethod.Put, Target: "/metrics/job/a", HeadLength: 40);
        Assert.Equal(plain, ParsedHead.Of(HeadSamples.Taken[0]));
        Assert.Equal(plain with { HeadLength = plain.HeadLength + 4 }, ParsedHead.Of(HeadSamples.Taken[1]));
        Assert.Equal(
            new ParsedHead(ParseStatus.Done, RejectReason.None, RequestMethod.Put, IsHttp10: true, "/x", KeepAlive: false, HeadLength: 19),
            ParsedHead.Of(HeadSamples.Taken[2]));
        Assert.Equal(RequestMethod.Unknown, ParsedHead.Of(HeadSamples.Taken[3]).Method);
        Assert.Equal("http://x/metrics/job/a?b=c", ParsedHead.Of(HeadSamples.Taken[4]).Target);

        ParsedHead padded = ParsedHead.Of(HeadSamples.Taken[5]);
        Assert.Equal((BodyFraming.ContentLength, 10), (padded.Framing, padded.ContentLength));
        ParsedHead chunked = ParsedHead.Of(HeadSamples.Taken[6]);
        Assert.Equal((BodyFraming.Chunked, true, false), (chunked.Framing, chunked.ExpectContinue, chunked.KeepAlive));
        Assert.Equal(BodyFraming.None, ParsedHead.Of(HeadSamples.Taken[7]).Framing);
        Assert.True(ParsedHead.Of(HeadSamples.Taken[8]).KeepAlive);
    }

    [Theory]
    [InlineData("GET", RequestMethod.Get)]
    [InlineData("HEAD", RequestMethod.Head)]
    [InlineData("PUT", RequestMethod.Put)]
    [InlineData("POST", RequestMethod.Post)]
    [InlineData("DELETE", RequestMethod.Delete)]
    [InlineData("OPTIONS", RequestMethod.Options)]
    [InlineData("TRACE", RequestMethod.Trace)]
    [InlineData("CONNECT", RequestMethod.Connect)]
    [InlineData("PATCH", RequestMethod.Patch)]
    [InlineData("put", RequestMethod.Unknown)]
    [InlineData("PUTS", RequestMethod.Unknown)]
    [InlineData("PU", RequestMethod.Unknown)]
    [InlineData("!#$%&'*+-.^_`|~09", RequestMethod.Unknown)]
    internal void A_method_is_a_whole_token_in_its_own_case(string token, RequestMethod method) =>
        Assert.Equal(method, ParsedHead.Of($"{token} /x HTTP/1.1\r\nHost: x\r\n\r\n").Method);

    [Theory]
    [InlineData("HTTP/1.1", "", true)]
    [InlineData("HTTP/1.1", "Connection: close\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: CLOSE\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: a,,\tclose\t, b\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: closed, x-close, clos\r\n", true)]
    [InlineData("HTTP/1.1", "Connection:\r\n", true)]
    [InlineData("HTTP/1.0", "", false)]
    [InlineData("HTTP/1.0", "Connection: Keep-Alive\r\n", true)]
    [InlineData("HTTP/1.0", "Connection: keep-alive, close\r\n", false)]
    [InlineData("HTTP/1.0", "Keep-Alive: 5\r\n", false)]
    public void A_connection_persists_by_version_and_whole_tokens(string version, string fields, bool persists) =>
        Assert.Equal(persists, ParsedHead.Of($"PUT /x {version}\r\nHost: x\r\n{fields}\r\n").KeepAlive);

    [Theory]
    [InlineData("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", true)]
    [InlineData("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", false)]
    [InlineData("PUT /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", false)]
    [InlineData("PUT /x HTTP/1.0\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false)]
    [InlineData("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: x 100-continue\r\n\r\n", false)]
    public void An_expectation_counts_in_HTTP_11_with_content_only(string head, bool expects) =>
        Assert.Equal(expects, ParsedHead.Of(head).ExpectContinue);

    [Fact]
    public void Every_cut_and_byte_by_byte_give_the_answer_of_the_whole()
    {
        foreach (string sample in HeadSamples.Taken.Concat(HeadSamples.Refused.Select(s => s.Head)).Where(s => s.Length < 1000))
        {
            byte[] head = ParsedHead.Bytes(sample);
            ParsedHead whole = ParsedHead.Of(head);
            for (int cut = 0; cut <= head.Length; cut++) Assert.Equal(whole, ParsedHead.InPieces(head, [cut]));
            Assert.Equal(whole, ParsedHead.InPieces(head, Enumerable.Range(0, head.Length + 1)));
        }
    }

    [Fact]
    public void A_head_is_done_at_its_last_byte_and_not_before() => Assert.All(HeadSamples.Taken, sample =>
    {
        byte[] head = ParsedHead.Bytes(sample);
        for (int length = 0; length < head.Length; length++) Assert.Equal(ParseStatus.NeedMore, ParsedHead.Of(head[..length]).Status);
        Assert.Equal(ParsedHead.Of(head), ParsedHead.Of([.. head, .. "GET / HTTP/1.1\r\n"u8]));
    });

    [Fact]
    public void The_request_line_may_have_its_limit_and_not_one_byte_more()
    {
        string Of(int length) => $"PUT /{new string('a', length - 14)} HTTP/1.1\r\nHost: x\r\n\r\n";
        AssertWholeAndInPieces(ParseStatus.Done, RejectReason.None, Of(8192));
        AssertWholeAndInPieces(ParseStatus.Rejected, RejectReason.RequestLineTooLong, Of(8193));
        AssertWholeAndInPieces(ParseStatus.Rejected, RejectReason.RequestLineTooLong, new string('a', 8193));
        Assert.Equal(ParseStatus.NeedMore, ParsedHead.Of(new string('a', 8192)).Status);
    }

    [Fact]
    public void The_field_lines_may_have_their_limit_and_not_one_byte_more()
    {
        // Host: x CRLF is 9 bytes, A: CRLF 4.
        string Of(int bytes) => $"{Line}Host: x\r\nA:{new string('a', bytes - 13)}\r\n\r\n";
        AssertWholeAndInPieces(ParseStatus.Done, RejectReason.None, Of(32768));
        AssertWholeAndInPieces(ParseStatus.Rejected, RejectReason.FieldsTooLarge, Of(32769));
        AssertWholeAndInPieces(ParseStatus.Rejected, RejectReason.FieldsTooLarge, Line + new string('a', 40_000));
    }

    [Fact]
    public void A_hundred_fields_and_not_one_more()
    {
        string Of(int count) => $"{Line}Host: x\r\n{string.Concat(Enumerable.Repeat("A: b\r\n", count - 1))}\r\n";
        AssertWholeAndInPieces(ParseStatus.Done, RejectReason.None, Of(100));
        AssertWholeAndInPieces(ParseStatus.Rejected, RejectReason.TooManyFields, Of(101));
    }

    [Fact]
    public void Empty_lines_before_a_request_are_bounded()
    {
        string Of(int count) => $"{string.Concat(Enumerable.Repeat("\r\n", count))}{Line}Host: x\r\n\r\n";
        AssertWholeAndInPieces(ParseStatus.Done, RejectReason.None, Of(4096));
        AssertWholeAndInPieces(ParseStatus.Rejected, RejectReason.RequestLineTooLong, Of(4097));
    }

    private static void AssertWholeAndInPieces(ParseStatus status, RejectReason reason, string text)
    {
        byte[] head = ParsedHead.Bytes(text);
        ParsedHead whole = ParsedHead.Of(head);
        Assert.Equal((status, reason), (whole.Status, whole.Reason));
        Assert.Equal(whole, ParsedHead.InPieces(head, Enumerable.Range(0, head.Length)));
    }
}
