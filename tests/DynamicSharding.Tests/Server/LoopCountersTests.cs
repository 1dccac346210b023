using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

public sealed class LoopCountersTests
{
    [Fact]
    public void No_cell_is_shared_by_two_counts()
    {
        var loop = new LoopCounters();
        long step = 0;
        foreach (RequestMethod method in Enum.GetValues<RequestMethod>())
            for (int code = 0; code < StatusIndex.Count; code++)
            {
                step++;
                for (int i = 0; i < step; i++) loop.CountRequest(method, code);
            }
        foreach (RejectReason reason in Enum.GetValues<RejectReason>()) loop.CountReject(reason);
        foreach (CloseReason reason in Enum.GetValues<CloseReason>()) loop.CountClose(reason);
        loop.CountAccept();
        for (int bucket = 0; bucket < DurationBuckets.Count; bucket++) loop.ObserveBatch(NanosecondsIn(bucket), bucket + 1);

        long expected = 0;
        foreach (RequestMethod method in Enum.GetValues<RequestMethod>())
            for (int code = 0; code < StatusIndex.Count; code++) Assert.Equal(++expected, loop.Requests(method, code));
        Assert.All(Enum.GetValues<RejectReason>(), reason => Assert.Equal(1, loop.Rejected(reason)));
        Assert.All(Enum.GetValues<CloseReason>(), reason => Assert.Equal(1, loop.Closed(reason)));
        Assert.Equal(1, loop.Accepted);
        for (int bucket = 0; bucket < DurationBuckets.Count; bucket++)
        {
            Assert.Equal(bucket + 1, loop.DurationCount(bucket));
            Assert.Equal(NanosecondsIn(bucket) * (bucket + 1), loop.DurationSum(bucket));
        }
    }

    [Fact]
    public void Sums_are_over_all_loops()
    {
        var counters = new DataPlaneCounters(3);
        foreach (LoopCounters loop in counters.Loops)
        {
            loop.CountAccept();
            loop.CountAccept();
            loop.CountClose(CloseReason.Idle);
            loop.CountRequest(RequestMethod.Put, StatusIndex.TemporaryRedirect);
            loop.CountReject(RejectReason.BadHost);
            loop.ObserveBatch(1_000_000, 16);
        }

        Assert.Equal(6, counters.Accepted);
        Assert.Equal(3, counters.Closed(CloseReason.Idle));
        Assert.Equal(3, counters.Open);
        Assert.Equal(3, counters.Requests(RequestMethod.Put, StatusIndex.TemporaryRedirect));
        Assert.Equal(3, counters.Rejected(RejectReason.BadHost));
        Assert.Equal((48, 48_000_000), counters.Duration(DurationBuckets.IndexOf(1_000_000)));
    }

    [Fact]
    public void A_duration_falls_into_the_first_bucket_whose_bound_is_not_below_it()
    {
        Assert.Equal(0, DurationBuckets.IndexOf(0));
        Assert.Equal(0, DurationBuckets.IndexOf(-1));
        for (int bucket = 0; bucket < DurationBuckets.BoundCount; bucket++)
        {
            long bound = (long)Math.Round(DurationBuckets.Bound(bucket) * 1_000_000_000);
            Assert.Equal(bucket, DurationBuckets.IndexOf(bound));
            Assert.Equal(bucket + 1, DurationBuckets.IndexOf(bound + 1));
        }

        Assert.Equal(DurationBuckets.BoundCount, DurationBuckets.IndexOf(long.MaxValue));
        Assert.Equal(double.PositiveInfinity, DurationBuckets.Bound(DurationBuckets.BoundCount));
    }

    [Fact]
    public void Counting_allocates_nothing()
    {
        var loop = new LoopCounters();
        CountAll(loop);
        Assert.Equal(0, Allocated.By(() =>
        {
            for (int i = 0; i < 1000; i++) CountAll(loop);
        }));
    }

    private static void CountAll(LoopCounters loop)
    {
        loop.CountAccept();
        loop.CountRequest(RequestMethod.Post, StatusIndex.TemporaryRedirect);
        loop.CountReject(RejectReason.NotFound);
        loop.CountClose(CloseReason.Reset);
        loop.ObserveBatch(12345, 7);
    }

    private static long NanosecondsIn(int bucket) => bucket < DurationBuckets.BoundCount
        ? (long)(DurationBuckets.Bound(bucket) * 1_000_000_000) - 10
        : 5_000_000_000;
}
