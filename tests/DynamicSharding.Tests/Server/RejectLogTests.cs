using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging.Abstractions;

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
            var sums = new RejectSums();
            recent.AddTo(sums, now);
            return (
                sums.Causes.GetValueOrDefault(RejectReason.NotFound), sums.Causes.GetValueOrDefault(RejectReason.BadHost),
                sums.Peers.GetValueOrDefault((UInt128)7), sums.Peers.GetValueOrDefault((UInt128)8));
        }
    }

    [Fact]
    public void The_most_frequent_peer_stays_among_any_number_of_others()
    {
        var recent = new RecentRejects();
        for (int i = 0; i < 100_000; i++) recent.Count(RejectReason.NotFound, i % 10 == 0 ? 1 : (UInt128)(i + 2), 5);
        var sums = new RejectSums();
        recent.AddTo(sums, 5);
        Assert.Equal(RecentRejects.MaxPeers, sums.Peers.Count);
        Assert.Equal((UInt128)1, sums.Peers.MaxBy(static pair => pair.Value).Key);
    }

    /// <summary>Of any mixture of peers, no number is above what a peer has had, and without a peer too many each is exact.</summary>
    [Fact]
    public void No_peer_is_counted_more_than_it_was_rejected()
    {
        var random = new Random(8);
        for (int round = 0; round < 200; round++)
        {
            int peers = random.Next(1, 300);
            var recent = new RecentRejects();
            Dictionary<UInt128, long> expected = [];
            for (int i = 0; i < 3000; i++)
            {
                UInt128 peer = (UInt128)(random.Next(4) == 0 ? 1 : random.Next(1, peers + 1));
                recent.Count(ForwardRejectReason.BodyTooLarge, peer, i / 1000);
                expected[peer] = expected.GetValueOrDefault(peer) + 1;
            }

            var sums = new RejectSums();
            recent.AddTo(sums, 2);
            Assert.Equal(3000, sums.Causes[ForwardRejectReason.BodyTooLarge]);
            Assert.All(sums.Peers, pair => Assert.InRange(pair.Value, 1, expected[pair.Key]));
            if (sums.AreAtLeast) Assert.True(expected.Count > RecentRejects.MaxPeers);
            else Assert.Equal(expected.OrderBy(static pair => pair.Key), sums.Peers.OrderBy(static pair => pair.Key));
        }
    }

    /// <summary>The clocks of the loops differ: whatever their order, no second has more lines than it may.</summary>
    [Fact]
    public async Task However_loops_meet_no_second_has_more_lines_than_the_sample()
    {
        const int Most = 3, Seconds = 500;
        var log = new RejectLog(NullLogger.Instance, TimeProvider.System) { PerSecond = Most };
        int[] lines = new int[Seconds + 8];
        using var together = new Barrier(4);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(loop => Task.Factory.StartNew(
            () =>
            {
                var random = new Random(loop);
                together.SignalAndWait();
                for (int i = 0; i < Seconds * 100; i++)
                {
                    int second = (i / 100) + random.Next(8);
                    if (log.TryTake(second)) Interlocked.Increment(ref lines[second]);
                }
            },
            TaskCreationOptions.LongRunning)));
        Assert.All(lines, count => Assert.InRange(count, 0, Most));
        Assert.InRange(lines.Sum(), Seconds / 2, int.MaxValue);
        log.PerSecond = 0;
        Assert.False(log.TryTake(Seconds + 100));
    }

    [Fact]
    public void Counting_allocates_nothing()
    {
        var recent = new RecentRejects();
        recent.Count(RejectReason.NotFound, 1, 0);
        Assert.Equal(0, Allocated.By(() =>
        {
            for (int i = 0; i < 1000; i++) recent.Count(RejectReason.NotFound, (UInt128)i, i / 100);
        }));
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
            var sums = new RejectSums();
            recent.AddTo(sums, 0);
            Assert.All(sums.Peers.Keys, peer => Assert.True(peer == one || peer == other));
        }

        await writing;
    }

    [Theory]
    [InlineData("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n", "PUT", "/metrics/job/a")]
    [InlineData("\r\nPUT /a?token=secret HTTP/1.1\r\n", "PUT", "/a")]
    [InlineData("PUT /a#secret HTTP/1.1\r\n", "PUT", "/a")]
    [InlineData("PUT /metrics/job@base64/YQ/user/a@b HTTP/1.1\r\n", "PUT", "/metrics/job@base64/YQ/user/a@b")]
    [InlineData("GET http://user:secret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://host/b HTTP/1.1\r\n", "GET", "/b")]
    [InlineData("GET http://user:pa/ss?word@host/metrics/job/x HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://user:pa/ss#word@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://user:pa/ss word@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http?://host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://user:secret@host HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://user:sec?ret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://user:sec#ret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://user:sec/ret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://host/metrics/job@base64/YQ HTTP/1.1\r\n", "GET", "/metrics/job@base64/YQ")]
    [InlineData("GET //user:secret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET ///user:secret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET //user:sec/ret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET //secret@host HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET //metrics/job/a HTTP/1.1\r\n", "GET", "//metrics/job/a")]
    [InlineData("GET user:secret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET /a?x=http://user:secret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET /a?x=http://host/b HTTP/1.1\r\n", "GET", "/a")]
    [InlineData("GET /http://user:secret@host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET /http://host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET /user%3Asecret%40host/b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET /b;token=secret HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET /token=secret&b HTTP/1.1\r\n", "GET", "")]
    [InlineData("GET http://host/user:secret@b HTTP/1.1\r\n", "GET", "")]
    [InlineData("PUT /metrics/job/http://user:secret@host/b HTTP/1.1\r\n", "PUT", "")]
    [InlineData("PUT /metrics/job/a%20b/url/http://host/b HTTP/1.1\r\n", "PUT", "/metrics/job/a%20b/url/http://host/b")]
    [InlineData("PUT /prefix/metrics/job/a%20b HTTP/1.1\r\n", "PUT", "/prefix/metrics/job/a%20b")]
    [InlineData("PUT /user:secret@host/metrics/job/a HTTP/1.1\r\n", "PUT", "")]
    [InlineData("PUT http://user:sec/metrics/ret@host/b HTTP/1.1\r\n", "PUT", "")]
    [InlineData("CONNECT user:secret@host:1 HTTP/1.1\r\n", "CONNECT", "")]
    [InlineData("OPTIONS * HTTP/1.1\r\n", "OPTIONS", "*")]
    [InlineData("PUT /metrics/job/two words HTTP/1.1\r\n", "PUT", "/metrics/job/two")]
    [InlineData("P~T /\\\u0001\u00ff\" HTTP/1.1", "P~T", "/\\x5c\\x01\\xff\\x22")]
    [InlineData("AVERYLONGMETHODINDEED / HTTP/1.1", "AVERYLONGMETHODI...", "/")]
    [InlineData("PUT /secret", "", "")]
    [InlineData("PUT /secret\r\n", "", "")]
    [InlineData("password: secret HTTP/1.1\r\n", "", "")]
    [InlineData("Authorization: Basic c2VjcmV0\r\n", "", "")]
    [InlineData("secret=1\r\n", "", "")]
    [InlineData("PUT /secret FTP/1.1\r\n", "", "")]
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
        rejected.Set("DELETE"u8, "/metrics/job/a"u8);
        Assert.Equal(("DELETE", "/metrics/job/a"), (rejected.Method, rejected.Path));
    }
}
