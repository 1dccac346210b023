using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

/// <summary>What is kept of rejected requests: bounded tables, and short printable texts.</summary>
public sealed class RejectLogTests
{
    [Fact]
    public void Counts_of_more_than_ten_minutes_ago_are_gone()
    {
        var recent = new RecentRejects();
        for (int minute = 0; minute < 15; minute++) recent.Count(RejectReason.NotFound, 7, minute);
        recent.Count(RejectReason.BadHost, 8, 14);
        Assert.Equal((10, 1, 10, 1), Read(recent, 14));
        Assert.Equal((1, 1, 1, 1), Read(recent, 23));
        Assert.Equal((0, 0, 0, 0), Read(recent, 24));

        static (long NotFound, long BadHost, long Seven, long Eight) Read(RecentRejects recent, long now)
        {
            Dictionary<RejectReason, long> reasons = [];
            Dictionary<UInt128, long> peers = [];
            recent.AddTo(reasons, peers, now);
            return (reasons.GetValueOrDefault(RejectReason.NotFound), reasons.GetValueOrDefault(RejectReason.BadHost), peers.GetValueOrDefault((UInt128)7), peers.GetValueOrDefault((UInt128)8));
        }
    }

    [Fact]
    public void The_most_frequent_peer_stays_among_any_number_of_others()
    {
        var recent = new RecentRejects();
        for (int i = 0; i < 100_000; i++) recent.Count(RejectReason.NotFound, i % 10 == 0 ? 1 : (UInt128)(i + 2), 5);
        Dictionary<UInt128, long> peers = [];
        recent.AddTo([], peers, 5);
        Assert.Equal(RecentRejects.MaxPeers, peers.Count);
        Assert.Equal((UInt128)1, peers.MaxBy(static pair => pair.Value).Key);
    }

    [Fact]
    public void Counting_allocates_nothing()
    {
        var recent = new RecentRejects();
        recent.Count(RejectReason.NotFound, 1, 0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) recent.Count(RejectReason.NotFound, (UInt128)i, i / 100);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task A_reader_never_sees_half_a_count()
    {
        var recent = new RecentRejects();
        using var ended = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        UInt128 one = UInt128.MaxValue, other = 0;
        Task writing = Task.Run(() =>
        {
            for (long i = 0; !ended.IsCancellationRequested; i++) recent.Count(RejectReason.NotFound, (i & 1) == 0 ? one : other, i / 1000);
        });
        while (!writing.IsCompleted)
        {
            Dictionary<UInt128, long> peers = [];
            recent.AddTo([], peers, 0);
            Assert.All(peers.Keys, peer => Assert.True(peer == one || peer == other));
        }

        await writing;
    }

    [Theory]
    [InlineData("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n", "PUT", "/metrics/job/a")]
    [InlineData("\r\nPUT /a?token=secret HTTP/1.1\r\n", "PUT", "/a")]
    [InlineData("GET http://user:secret@host/b HTTP/1.1\r\n", "GET", "/b")]
    [InlineData("GET http://user:secret@host HTTP/1.1\r\n", "GET", "")]
    [InlineData("CONNECT user:secret@host:1 HTTP/1.1\r\n", "CONNECT", "host:1")]
    [InlineData("P\u00ff\"T /\\\u0001 HTTP/1.1", "P\\xff\\x22T", "/\\x5c\\x01")]
    [InlineData("AVERYLONGMETHODINDEED /", "AVERYLONGMETHODI...", "/")]
    [InlineData("", "", "")]
    public void A_line_shows_no_secret_and_nothing_that_is_not_printable(string head, string method, string path)
    {
        var rejected = new RejectedHead();
        rejected.Set(Encoding.Latin1.GetBytes(head));
        Assert.Equal((method, path), (rejected.Method, rejected.Path));
    }

    [Fact]
    public void A_long_path_is_cut()
    {
        var rejected = new RejectedHead();
        rejected.Set(Encoding.Latin1.GetBytes("PUT /" + new string('a', 9000) + " HTTP/1.1\r\n"));
        Assert.Equal(128 + 3, rejected.Path.Length);
        rejected.Clear();
        Assert.Equal("", rejected.Path);
    }
}
