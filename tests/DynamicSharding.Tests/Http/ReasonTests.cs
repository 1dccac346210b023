using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Http;

public sealed class ReasonTests
{
    [Fact]
    public void Every_reject_reason_has_a_label_of_its_own_and_a_status_that_the_data_plane_counts()
    {
        RejectReason[] reasons = Enum.GetValues<RejectReason>();
        Assert.Equal(RejectReasons.Count, reasons.Length);
        Assert.Equal(reasons.Length, reasons.Select(RejectReasons.Label).Distinct().Count());
        Assert.All(reasons, reason => Assert.Matches("^[a-z0-9_]+$", RejectReasons.Label(reason)));
        Assert.All(
            reasons.Where(reason => reason != RejectReason.None),
            reason => Assert.InRange(StatusIndex.Of(RejectReasons.Status(reason)), StatusIndex.BadRequest, StatusIndex.Count - 1));
    }

    [Theory]
    [InlineData(RejectReason.BadChunk, 400)]
    [InlineData(RejectReason.NotHttp, 400)]
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
    public void Every_close_reason_has_a_label_of_its_own()
    {
        CloseReason[] reasons = Enum.GetValues<CloseReason>();
        Assert.Equal(CloseReasons.Count, reasons.Length);
        Assert.Equal(reasons.Length, reasons.Select(CloseReasons.Label).Distinct().Count());
        Assert.All(reasons, reason => Assert.Matches("^[a-z_]+$", CloseReasons.Label(reason)));
    }

    [Fact]
    public void Status_indexes_and_codes_belong_together()
    {
        Assert.Equal(StatusIndex.Count, StatusIndex.Codes.Length);
        for (int i = 0; i < StatusIndex.Count; i++) Assert.Equal(i, StatusIndex.Of(StatusIndex.Codes[i]));
        Assert.Equal(StatusIndex.Ok, StatusIndex.Of(200));
        Assert.Equal(StatusIndex.TemporaryRedirect, StatusIndex.Of(307));
        Assert.Equal(StatusIndex.NotFound, StatusIndex.Of(404));
        Assert.Equal(StatusIndex.MethodNotAllowed, StatusIndex.Of(405));
        Assert.Equal(StatusIndex.RequestTimeout, StatusIndex.Of(408));
        Assert.Equal(StatusIndex.UriTooLong, StatusIndex.Of(414));
        Assert.Equal(StatusIndex.FieldsTooLarge, StatusIndex.Of(431));
        Assert.Equal(StatusIndex.NotImplemented, StatusIndex.Of(501));
        Assert.Equal(StatusIndex.ServiceUnavailable, StatusIndex.Of(503));
        Assert.Equal(StatusIndex.VersionNotSupported, StatusIndex.Of(505));
    }
}
