using System.Text.RegularExpressions;
using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Http;

public sealed partial class ReasonTests
{
    [Fact]
    public void Every_reject_reason_has_its_own_row_and_a_status_that_the_data_plane_counts()
    {
        RejectReason[] reasons = Enum.GetValues<RejectReason>();
        Assert.Equal(RejectReasons.Count, reasons.Length);
        Assert.All(reasons, reason => Assert.Equal(SnakeCase(reason.ToString()), RejectReasons.Label(reason)));
        Assert.Equal(reasons.Length, reasons.Select(RejectReasons.Sentence).Distinct().Count());
        Assert.All(
            reasons.Where(reason => reason != RejectReason.None),
            reason => Assert.InRange(StatusIndex.Of(RejectReasons.Status(reason)), StatusIndex.BadRequest, StatusIndex.Count - 1));
    }

    [Theory]
    [InlineData(RejectReason.BadChunk, 400)]
    [InlineData(RejectReason.NotHttp, 400)]
    [InlineData(RejectReason.UnexpectedProxyHeader, 400)]
    [InlineData(RejectReason.NotFound, 404)]
    [InlineData(RejectReason.MethodNotAllowed, 405)]
    [InlineData(RejectReason.HeaderTimeout, 408)]
    [InlineData(RejectReason.RequestLineTooLong, 414)]
    [InlineData(RejectReason.FieldsTooLarge, 431)]
    [InlineData(RejectReason.TooManyFields, 431)]
    [InlineData(RejectReason.UnknownMethod, 501)]
    [InlineData(RejectReason.TooManyConnections, 503)]
    [InlineData(RejectReason.NoGateway, 503)]
    [InlineData(RejectReason.UnsupportedVersion, 505)]
    internal void A_reject_reason_has_its_status(RejectReason reason, int status) => Assert.Equal(status, RejectReasons.Status(reason));

    [Fact]
    public void Every_close_reason_has_its_own_label()
    {
        CloseReason[] reasons = Enum.GetValues<CloseReason>();
        Assert.Equal(CloseReasons.Count, reasons.Length);
        Assert.All(reasons, reason => Assert.Equal(SnakeCase(reason.ToString()), CloseReasons.Label(reason)));
    }

    [Fact]
    public void Status_indexes_codes_and_phrases_belong_together()
    {
        (int Index, int Status, string Phrase)[] expected =
        [
            (StatusIndex.Ok, 200, "OK"),
            (StatusIndex.TemporaryRedirect, 307, "Temporary Redirect"),
            (StatusIndex.BadRequest, 400, "Bad Request"),
            (StatusIndex.NotFound, 404, "Not Found"),
            (StatusIndex.MethodNotAllowed, 405, "Method Not Allowed"),
            (StatusIndex.RequestTimeout, 408, "Request Timeout"),
            (StatusIndex.UriTooLong, 414, "URI Too Long"),
            (StatusIndex.FieldsTooLarge, 431, "Request Header Fields Too Large"),
            (StatusIndex.NotImplemented, 501, "Not Implemented"),
            (StatusIndex.ServiceUnavailable, 503, "Service Unavailable"),
            (StatusIndex.VersionNotSupported, 505, "HTTP Version Not Supported"),
            (StatusIndex.Unauthorized, 401, "Unauthorized"),
        ];
        Assert.Equal(StatusIndex.Count, expected.Length);
        foreach ((int index, int status, string phrase) in expected)
            Assert.Equal((status, phrase, index), (StatusIndex.Codes[index], StatusIndex.Phrases[index], StatusIndex.Of(status)));
    }

    private static string SnakeCase(string name) => WordStart().Replace(name, "_").ToLowerInvariant();

    [GeneratedRegex("(?<!^)(?=[A-Z])")]
    private static partial Regex WordStart();
}
