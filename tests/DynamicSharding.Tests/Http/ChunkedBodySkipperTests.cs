using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

/// <summary>RFC 9112 7.1, strictly: where parsers disagree on the end of a body, a request can be smuggled.</summary>
public sealed class ChunkedBodySkipperTests
{
    [Theory]
    [InlineData("0\r\n\r\n")]
    [InlineData("000\r\n\r\n")]
    [InlineData("5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("a\r\n0123456789\r\nA;x\r\n0\r\n\r\n34567\r\n0\r\n\r\n")]
    [InlineData("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n")]
    [InlineData("5 \t;a\r\nhello\r\n0 \r\n\r\n")]
    [InlineData("0000000000000005\r\nhello\r\n0\r\n\r\n")]
    [InlineData("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n")]
    [InlineData("0\r\nTrailer: \u00FF\tx\r\nContent-Length: 7\r\n\r\n")]
    public void A_well_formed_body_ends_where_it_ends(string body)
    {
        byte[] bytes = ParsedHead.Bytes(body);
        Assert.Equal((ParseStatus.Done, bytes.Length), Skip(bytes));
        Assert.Equal((ParseStatus.Done, bytes.Length), Skip([.. bytes, .. "PUT / HTTP/1.1\r\n"u8]));
        for (int length = 0; length < bytes.Length; length++) Assert.Equal((ParseStatus.NeedMore, length), Skip(bytes[..length]));
        AssertSameInPieces(bytes);
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData(";a\r\n")]
    [InlineData(" 5\r\n")]
    [InlineData("+5\r\n")]
    [InlineData("-5\r\n")]
    [InlineData("0x5\r\n")]
    [InlineData("5_0\r\n")]
    [InlineData("g\r\n")]
    [InlineData("5 5\r\n")]
    [InlineData("5\n")]
    [InlineData("5\rh")]
    [InlineData("5;a\n")]
    [InlineData("5;a\rb")]
    [InlineData("5;a\u0000")]
    [InlineData("5;a\u007F")]
    [InlineData("5\u0000")]
    [InlineData("00000000000000005\r\n")]
    [InlineData("10000000000000000\r\n")]
    [InlineData("5\r\nhello!\r\n")]
    [InlineData("5\r\nhello\n")]
    [InlineData("5\r\nhello\rx")]
    [InlineData("0\r\n\n")]
    [InlineData("0\r\n\rx")]
    [InlineData("0\r\n a: b\r\n")]
    [InlineData("0\r\n: b\r\n")]
    [InlineData("0\r\na\r\n")]
    [InlineData("0\r\na b: c\r\n")]
    [InlineData("0\r\na : c\r\n")]
    [InlineData("0\r\na: b\n")]
    [InlineData("0\r\na: \u0000\r\n")]
    [InlineData("0\r\na: b\rc")]
    public void A_malformed_body_is_refused_at_the_byte_that_breaks_it(string body)
    {
        byte[] bytes = ParsedHead.Bytes(body);
        (ParseStatus status, int consumed) = Skip(bytes);
        Assert.Equal(ParseStatus.Rejected, status);
        Assert.Equal(ParseStatus.NeedMore, Skip(bytes[..(consumed - 1)]).Status);
        AssertSameInPieces(bytes);
    }

    [Fact]
    public void The_largest_size_is_64_bits_and_is_not_taken_for_less()
    {
        byte[] bytes = ParsedHead.Bytes("ffffffffffffffff\r\n" + new string('x', 1000) + "\r\n0\r\n\r\n");
        Assert.Equal((ParseStatus.NeedMore, bytes.Length), Skip(bytes));
    }

    [Theory]
    [InlineData("5;", 4096)]
    [InlineData("5 ", 4096)]
    [InlineData("0\r\na", 4096)]
    [InlineData("0\r\na:", 4095)]
    public void Lines_are_bounded(string start, int limit)
    {
        char filler = start[^1] == ' ' ? ' ' : 'x';
        Assert.Equal(ParseStatus.NeedMore, Skip(ParsedHead.Bytes(start + new string(filler, limit))).Status);
        Assert.Equal(ParseStatus.Rejected, Skip(ParsedHead.Bytes(start + new string(filler, limit + 1))).Status);
    }

    [Theory]
    [InlineData("a:\r\n")]
    [InlineData("a: b\r\n")]
    [InlineData("name: a value of some length\r\n")]
    public void Trailers_are_bounded_however_short_their_lines_are(string trailer)
    {
        int fit = 32 * 1024 / trailer.Length;
        string Of(int lines) => $"0\r\n{string.Concat(Enumerable.Repeat(trailer, lines))}\r\n";
        Assert.Equal(ParseStatus.Done, Skip(ParsedHead.Bytes(Of(fit))).Status);
        Assert.Equal(ParseStatus.Rejected, Skip(ParsedHead.Bytes(Of(fit + 1))).Status);
    }

    private static (ParseStatus Status, int Consumed) Skip(byte[] body)
    {
        ChunkedBodySkipper skipper = default;
        ParseStatus status = skipper.Skip(body, out int consumed);
        return (status, consumed);
    }

    private static void AssertSameInPieces(byte[] body)
    {
        (ParseStatus Status, int Consumed) whole = Skip(body);
        for (int cut = 0; cut <= body.Length; cut++) Assert.Equal(whole, SkipInPieces(body, [cut]));
        Assert.Equal(whole, SkipInPieces(body, Enumerable.Range(0, body.Length)));
    }

    private static (ParseStatus Status, int Consumed) SkipInPieces(byte[] body, IEnumerable<int> cuts)
    {
        ChunkedBodySkipper skipper = default;
        int start = 0;
        foreach (int end in cuts.Append(body.Length))
        {
            ParseStatus status = skipper.Skip(body.AsSpan(start, end - start), out int consumed);
            start += consumed;
            if (status != ParseStatus.NeedMore) return (status, start);
            Assert.Equal(end, start);
        }

        return (ParseStatus.NeedMore, start);
    }
}
